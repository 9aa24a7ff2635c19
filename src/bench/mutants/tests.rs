use super::*;
use module::{mutate, Mutation};

fn small(configuration: &str) -> (Design, Vec<Configuration>) {
    let named: Vec<Named> = named::of_size(Size::S).unwrap().into_iter().filter(|n| n.name == configuration).collect();
    let accelerators = named.iter().map(|n| n.accelerator.clone()).collect();
    let plan = Settings { accelerators, ..Settings::drawn(SEED, 3) }.plan().unwrap();
    let over_the_bus = plan.configurations.into_iter().map(|c| Configuration { door: DoorKind::Axi, ..c }).collect();
    (lacuna_hdl::generate(&named[0].accelerator).unwrap(), over_the_bus)
}

#[test]
fn a_mutant_is_found_none_passes_and_one_without_effect_is_proved() {
    let (design, configurations) = small("eie-s");
    let folder = tempfile::tempdir().unwrap();
    // what nobody connects: more than two PEs would
    let name = "gather_node";
    let mutated = mutate(&design, name, 4, SEED, folder.path()).unwrap();
    assert_eq!(mutated.mutations.len(), 4);
    assert_eq!(mutate(&design, name, 4, SEED, folder.path()).unwrap().mutations, mutated.mutations, "a seed gives the same");
    let configurations: Vec<&Configuration> = configurations.iter().collect();
    let mut trial = Trial::new(&configurations, &mutated, folder.path()).unwrap();
    assert_eq!(trial.first_finding(0).unwrap(), None, "without a mutation it is the module");
    let ends: Vec<bool> = (1..=4).map(|number| trial.first_finding(number).unwrap().is_some()).collect();
    assert!(ends.contains(&true), "{ends:?} {:?}", mutated.mutations);
    trial.engine.forget().unwrap();
    let killed: Vec<usize> = (1..=4).filter(|number| ends[number - 1]).collect();
    assert!(equivalent::prove(&design, &mutated, &killed[..1]).unwrap().is_empty(), "what a run sees is no equivalent");
    // number 5 selects nothing
    let mut more = mutated;
    more.mutations.push(Mutation { command: String::new(), variant: 0 });
    assert_eq!(equivalent::prove(&design, &more, &[5]).unwrap().get(&5), Some(&Proof::Module));
}

#[test]
fn reasons_name_modules() {
    for reason in survivors::read().unwrap() {
        let (design, _) = small(&reason.config);
        assert!(design.modules.iter().any(|m| m.name == reason.module), "{reason:?}");
    }
}

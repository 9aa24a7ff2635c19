use super::*;

const EXTENT: Extent = Extent { mutants: 4, runs: 6 };

#[test]
fn mutants_of_a_leaf_are_found_and_one_that_changes_nothing_is_proved() {
    let folder = tempfile::tempdir().unwrap();
    let found = measure(folder.path(), Some("byte_merge"), EXTENT).unwrap();
    panic!("{found:?}");
}

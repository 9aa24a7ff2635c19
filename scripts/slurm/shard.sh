#!/usr/bin/env bash
# One shard of a regression, as a task of a job array: shard.sh LACUNA DIR SHARDS [flags].
set -u
lacuna=$1 folder=$2 shards=$3
shift 3
k=$SLURM_ARRAY_TASK_ID
# times that a shard is queued again which did not end by itself: whatever kills it each time is no accident
most=5

"$lacuna" regress "$@" --shard "$k/$shards" -j "${SLURM_CPUS_ON_NODE:-1}" -o "$folder/shard-$k" &
shard=$!
# the time that the partition allows is over in a minute
trap 'kill -TERM "$shard"' USR1
wait "$shard"
code=$?
# a signal ends the wait before the shard
while kill -0 "$shard" 2>/dev/null; do
    wait "$shard"
    code=$?
done
# 0: passed, 1: runs failed, 2: refused. Anything else was a signal: no memory, a machine going down, a hand
if [ $code -gt 2 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt $most ]; then
    echo "shard $k/$shards ended with $code and is queued again"
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$k" && sleep 60
fi
exit $code

#!/usr/bin/env bash
# Puts the shards of a regression together: merge.sh LACUNA DIR SHARDS. What is missing of them is named.
set -u
lacuna=$1 folder=$2 shards=$3
folders=()
for ((k = 1; k <= shards; k++)); do
    folders+=("$folder/shard-$k")
done
exec "$lacuna" regress merge "${folders[@]}" -o "$folder/whole"

"""Clusters a file of 32-bit floats with scikit-learn: file, most iterations, JSON of the starts by name. Prints JSON by name."""

import json
import sys
import time

import numpy
import sklearn
from sklearn.cluster import KMeans

path, iterations, starts = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
values = numpy.fromfile(path, dtype="<f4").reshape(-1, 1)
found = {}
for name, start in starts.items():
    start = numpy.array(start, dtype="f4").reshape(-1, 1)
    means = KMeans(n_clusters=len(start), init=start, n_init=1, max_iter=iterations, tol=0)
    # the first call of a process loads libraries
    means.fit(values[: 100 * len(start)])
    started = time.perf_counter()
    means.fit(values)
    seconds = time.perf_counter() - started
    # in 64 bits, as inertia_ is summed in 32
    centers = means.cluster_centers_.astype("f8")[means.labels_, 0]
    error = float(((values[:, 0].astype("f8") - centers) ** 2).sum())
    found[name] = {"seconds": seconds, "error": error, "iterations": int(means.n_iter_)}
print(json.dumps({"version": sklearn.__version__, "found": found}))

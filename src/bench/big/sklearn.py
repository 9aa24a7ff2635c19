"""Clusters a file of 32-bit floats with scikit-learn: file, clusters, most iterations. Prints JSON."""

import json
import sys
import time

import numpy
import sklearn
from sklearn.cluster import KMeans

path, clusters, iterations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
values = numpy.fromfile(path, dtype="<f4").reshape(-1, 1)
start = numpy.linspace(values.min(), values.max(), clusters, dtype="f4").reshape(-1, 1)
means = KMeans(n_clusters=clusters, init=start, n_init=1, max_iter=iterations, tol=0)
# the first call of a process loads libraries
means.fit(values[: 100 * clusters])
started = time.perf_counter()
means.fit(values)
seconds = time.perf_counter() - started
# in 64 bits, as inertia_ is summed in 32
centers = means.cluster_centers_.astype("f8")[means.labels_, 0]
error = float(((values[:, 0].astype("f8") - centers) ** 2).sum())
print(json.dumps({"version": sklearn.__version__, "seconds": seconds, "error": error, "iterations": int(means.n_iter_)}))

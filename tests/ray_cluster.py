"""A Ray cluster on the loopback address, until its input ends: python -m tests.ray_cluster FOLDER.

It prints its address. Each of its two nodes has one core and its own cache of corpora.
"""

import sys

from ray.cluster_utils import Cluster


def main():
    folder = sys.argv[1]
    cluster = Cluster()
    for name in ("head", "worker"):
        cluster.add_node(num_cpus=1, env_vars={"LM_DATA": f"{folder}/{name}"}, object_store_memory=80_000_000)
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()

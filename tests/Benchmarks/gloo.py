"""The peer of the benchmark `collectives`: Gloo's all-reduce over loopback, timed the way dsops-worker times ours.

Arguments: rank, ranks, port. Rank 0 prints a line of JSON per size.
"""
import json, os, statistics, sys, time
import torch, torch.distributed as dist
torch.set_num_threads(1)
rank, ranks, port = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
dist.init_process_group("gloo", rank=rank, world_size=ranks)
for size in [4 << 10, 16 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20]:
    x = torch.ones(size // 4)
    calls = max(3, min(200, (32 << 20) // size))
    rounds = []
    for r in range(-3, 7):
        dist.barrier()
        began = time.perf_counter()
        for _ in range(calls):
            dist.all_reduce(x)
        if r >= 0:
            rounds.append((time.perf_counter() - began) / calls)
    if rank == 0:
        s = statistics.median(rounds)
        print(json.dumps(dict(ranks=ranks, call="all_reduce", bytes=size, seconds=s, bytesPerSecond=size / s)))

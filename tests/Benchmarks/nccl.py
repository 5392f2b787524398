"""The peer of `dsops-worker bench --collectives N --device cuda`: PyTorch's NCCL groups, timed the way dsops-worker times ours.

torchrun --standalone --nproc-per-node N nccl.py: rank 0 prints a line of JSON per call and size.
"""
import json, os, statistics, time
import torch, torch.distributed as dist
rank = int(os.environ["LOCAL_RANK"])
torch.cuda.set_device(rank)
dist.init_process_group("nccl", device_id=torch.device("cuda", rank))
ranks = dist.get_world_size()
for size in [4 << 10, 16 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20, 1 << 30]:
    x = torch.ones(size // 4, device="cuda")
    y = torch.empty_like(x)
    calls = max(3, min(200, (32 << 20) // size))
    for name, once in [("all_reduce", lambda: dist.all_reduce(x)), ("all_to_all", lambda: dist.all_to_all_single(y, x))]:
        rounds = []
        for r in range(-3, 7):
            dist.barrier()
            torch.cuda.synchronize()
            began = time.perf_counter()
            for _ in range(calls):
                once()
            torch.cuda.synchronize()
            if r >= 0:
                rounds.append((time.perf_counter() - began) / calls)
        slowest = torch.tensor(statistics.median(rounds), device="cuda")
        dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
        if rank == 0:
            s = slowest.item()
            print(json.dumps(dict(ranks=ranks, carrier="PyTorch", call=name, bytes=size, seconds=s, bytesPerSecond=size / s)))
dist.destroy_process_group()

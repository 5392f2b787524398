"""Times training steps of a config.json on the CPU in transformers, as `dsops-worker bench` does: float32, fused AdamW, clipping, median step.

    cpu_peer.py CONFIG_FOLDER BATCH SEQUENCE STEPS THREADS
"""
import json
import sys
import time

import torch
from transformers import AutoConfig, AutoModelForCausalLM

folder, batch, sequence, steps, threads = sys.argv[1], *map(int, sys.argv[2:6])
torch.set_num_threads(threads)
torch.manual_seed(1)
model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
model.train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
ids = torch.randint(0, model.config.vocab_size, (batch, sequence))
times = []
for step in range(steps + 3):
    began = time.perf_counter()
    loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    loss.item()
    times.append(time.perf_counter() - began)
median = sorted(times[3:])[steps // 2]
print(json.dumps({"peer": "transformers, eager", "parameters": sum(p.numel() for p in model.parameters()), "stepSeconds": median,
                  "tokensPerSecond": batch * sequence / median}))

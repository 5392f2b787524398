"""Writes what transformers computes from a checkpoint, for `dsops model check`: expected.json, expected.safetensors, batches.safetensors.

    reference.py of FOLDER             the checkpoint in FOLDER, as it is
    reference.py new CONFIG FOLDER     a random model of config.json CONFIG, saved by transformers in BF16 and shards
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

LR, BETAS, EPS, DECAY, CLIP, STEPS = 1e-3, (0.9, 0.95), 1e-8, 0.1, 1.0, 20


def create(config, folder):
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(config), dtype=torch.float32)
    with torch.no_grad():
        for name, tensor in list(model.named_parameters()) + list(model.named_buffers()):
            if name.endswith("e_score_correction_bias"):
                tensor.normal_(0, 0.05)
            elif name in dict(model.named_parameters()) and tensor.dim() > 1:
                tensor.normal_(0, 0.1)
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size="200KB")


def loss_of(model, ids):
    logits = model(input_ids=ids, use_cache=False).logits
    return logits, torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def expect(folder):
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"] and not info["mismatched_keys"], info
    model.train()
    torch.manual_seed(2)
    vocab = min(model.config.vocab_size, 256)
    ids = torch.randint(0, vocab, (2, 24))
    batches = torch.randint(0, vocab, (STEPS, 2, 24))
    logits, loss = loss_of(model, ids)
    loss.backward()
    norms = {n: 0.0 if p.grad is None else p.grad.norm().item() for n, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=BETAS, eps=EPS, weight_decay=DECAY)
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        _, step_loss = loss_of(model, batch)
        step_loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        losses.append(step_loss.item())
    save_file({"input_ids": ids, "logits": logits.detach().contiguous()}, folder / "expected.safetensors")
    save_file({"batches": batches}, folder / "batches.safetensors")
    adamw = {"lr": LR, "betas": BETAS, "eps": EPS, "weight_decay": DECAY, "clip": CLIP, "losses": losses}
    (folder / "expected.json").write_text(json.dumps({"loss": loss.item(), "grad_norms": norms, "adamw": adamw}, indent=1))


if sys.argv[1:2] == ["of"] and len(sys.argv) == 3:
    expect(pathlib.Path(sys.argv[2]))
elif sys.argv[1:2] == ["new"] and len(sys.argv) == 4:
    create(sys.argv[2], pathlib.Path(sys.argv[3]))
    expect(pathlib.Path(sys.argv[3]))
else:
    sys.exit(__doc__)

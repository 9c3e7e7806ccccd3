"""`pseudo-pairs`: uCLIP with its pseudo pairs computed once, against the softmax in every step.

Legend: Q queries, N rows of a bank, D and E widths of the space and the tower.

The alternative is the published step: softmax over both banks for the batch at hand, then the two
heads. Both train the same heads with the same loop. An epoch of ours is run in full; a step of the
alternative and a part of the precomputation are timed and extrapolated to 100,000 queries, since in
full they would take an hour. Memory is that of the precomputation in a process of its own, with
few and with many queries.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from benchmarks.harness import Criterion, Outcome, peak_memory_above_inputs, say

from polyglance.heads.mlp import ProjectionHead
from polyglance.losses.uclip import uclip as uclip_loss
from polyglance.recipes import uclip
from polyglance.recipes.data import soft_retrieval
from polyglance.recipes.data.pseudo_pairs import PseudoPairs
from polyglance.vectors import Vectors, unit

NUM_QUERIES, BANK_ROWS = 100_000, 200_000
CLIP_WIDTH, TEXT_WIDTH = 512, 768
BATCH_SIZE, NUM_EPOCHS, TEMPERATURE = 512, 5, 0.01
NAIVE_STEPS, TIMED_QUERIES = 3, 4096
FEW_QUERIES, MANY_QUERIES = 2048, 8192
SEED = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """Banks and queries of both encoders, unit."""

    clip_bank: Vectors
    text_bank: Vectors
    clip_queries: Vectors
    text_queries: Vectors


def structured(num_rows: int, width: int, *, seed: int) -> Vectors:
    """Unit rows that share `width // 4` causes, so that neighbours exist as among real vectors."""
    rng = np.random.default_rng(seed)
    causes = width // 4
    mix = np.random.default_rng(width).standard_normal((causes, width), np.float32)
    found = np.empty((num_rows, width), np.float32)
    for start in range(0, num_rows, 10_000):
        rows = slice(start, min(start + 10_000, num_rows))
        latent = rng.standard_normal((rows.stop - start, causes), dtype=np.float32)
        found[rows] = unit(latent @ mix)
    return found


def make_world(num_queries: int = NUM_QUERIES, bank_rows: int = BANK_ROWS) -> World:
    """Everything at random, with fixed seeds."""
    return World(
        clip_bank=structured(bank_rows, CLIP_WIDTH, seed=SEED),
        text_bank=structured(bank_rows, TEXT_WIDTH, seed=SEED + 1),
        clip_queries=structured(num_queries, CLIP_WIDTH, seed=SEED + 2),
        text_queries=structured(num_queries, TEXT_WIDTH, seed=SEED + 3),
    )


def naive_answers(queries: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """Equations 1 and 2 for a batch, as the published step does it."""
    return functional.normalize(torch.softmax(queries @ bank.T / TEMPERATURE, dim=1) @ bank, dim=1)


def naive_steps(world: World, *, num_steps: int) -> float:
    """Seconds a step of the published way: softmax over both banks, then the heads."""
    torch.manual_seed(0)
    heads = [ProjectionHead(width, 512) for width in (CLIP_WIDTH, TEXT_WIDTH)]
    optimizer = torch.optim.AdamW([p for head in heads for p in head.parameters()], lr=1e-3)
    banks = [torch.from_numpy(b) for b in (world.clip_bank, world.text_bank)]
    asked = [torch.from_numpy(q) for q in (world.clip_queries, world.text_queries)]
    started = time.perf_counter()
    for step in range(num_steps):
        rows = slice(step * BATCH_SIZE, (step + 1) * BATCH_SIZE)
        found = []
        for head, bank, queries in zip(heads, banks, asked, strict=True):
            for vectors in (queries[rows], naive_answers(queries[rows], bank)):
                noisy = functional.normalize(vectors + 0.063 * torch.randn_like(vectors), dim=1)
                found.append(functional.normalize(head(noisy), dim=1))
        terms = uclip_loss(e_clip=found[0], v_clip=found[1], e_text=found[2], m_text=found[3])
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
    return (time.perf_counter() - started) / num_steps


def answers(world: World) -> tuple[Vectors, Vectors]:
    """What both banks answer, our way."""
    return (
        soft_retrieval.soft_retrieve(world.clip_queries, world.clip_bank, temperature=TEMPERATURE),
        soft_retrieval.soft_retrieve(world.text_queries, world.text_bank, temperature=TEMPERATURE),
    )


def few_queries() -> World:
    """Full banks, few queries; libraries are touched first."""
    answers(make_world(8, 64))
    return make_world(FEW_QUERIES)


def many_queries() -> World:
    """Full banks, four times as many."""
    answers(make_world(8, 64))
    return make_world(MANY_QUERIES)


def loss_difference(world: World) -> float:
    """Between the loss of a batch by stored answers and by softmax in the step; clean inputs."""
    torch.manual_seed(0)
    heads = [ProjectionHead(width, 512).eval() for width in (CLIP_WIDTH, TEXT_WIDTH)]
    part = World(
        clip_bank=world.clip_bank,
        text_bank=world.text_bank,
        clip_queries=world.clip_queries[:BATCH_SIZE],
        text_queries=world.text_queries[:BATCH_SIZE],
    )
    asked = [torch.from_numpy(q) for q in (part.clip_queries, part.text_queries)]
    banks = [torch.from_numpy(b) for b in (part.clip_bank, part.text_bank)]
    stored = [torch.from_numpy(found) for found in answers(part)]
    fresh = [naive_answers(q, bank) for q, bank in zip(asked, banks, strict=True)]
    losses = []
    for answered in (stored, fresh):
        with torch.no_grad():
            clip, text = (
                [functional.normalize(head(v), dim=1) for v in (q, a)]
                for head, q, a in zip(heads, asked, answered, strict=True)
            )
            losses.append(
                uclip_loss(e_clip=clip[0], v_clip=clip[1], e_text=text[0], m_text=text[1])
            )
    return abs(float(losses[0]["total"] - losses[1]["total"]))


def run() -> Outcome:
    """Time the precomputation, an epoch, and the published step; then weigh memory."""
    world = make_world()
    steps_an_epoch = NUM_QUERIES // BATCH_SIZE
    say(f"the published step, {NAIVE_STEPS} of {steps_an_epoch}")
    naive_steps(world, num_steps=1)
    naive_epoch = naive_steps(world, num_steps=NAIVE_STEPS) * steps_an_epoch
    say(f"  an epoch of it takes {naive_epoch:,.0f} s")
    say(f"asking both banks for {TIMED_QUERIES:,} of {NUM_QUERIES:,} queries")
    started = time.perf_counter()
    answers(
        World(
            clip_bank=world.clip_bank,
            text_bank=world.text_bank,
            clip_queries=world.clip_queries[:TIMED_QUERIES],
            text_queries=world.text_queries[:TIMED_QUERIES],
        )
    )
    precomputing = (time.perf_counter() - started) * NUM_QUERIES / TIMED_QUERIES
    say(f"  all of it takes {precomputing:,.0f} s; then an epoch in full")
    # What the answers are does not change how long an epoch takes.
    pairs = PseudoPairs(
        world.clip_queries,
        world.text_queries,
        world.clip_bank[:NUM_QUERIES],
        world.text_bank[:NUM_QUERIES],
    )
    config = uclip.UclipConfig(num_epochs=1, least_steps=1, dev_fraction=1e-5)
    uclip.fit(pairs.rows(np.arange(2 * BATCH_SIZE)), config)  # what is imported on first use
    epoch = uclip.fit(pairs, config).seconds
    say(f"  {epoch:.1f} s; then the loss both ways, and memory")
    difference = loss_difference(world)
    del pairs, world
    few = peak_memory_above_inputs(setup=few_queries, work=answers)
    many = peak_memory_above_inputs(setup=many_queries, work=answers)
    inputs = BANK_ROWS * (CLIP_WIDTH + TEXT_WIDTH) * 4
    return Outcome(
        ratio=naive_epoch / epoch,
        figures={
            "alternative": "softmax over both banks in every step, as published",
            "queries": NUM_QUERIES,
            "bank_rows": BANK_ROWS,
            "widths": [CLIP_WIDTH, TEXT_WIDTH],
            "epoch_seconds": epoch,
            "precision_of_the_heads_products": config.precision,
            "alternative_epoch_seconds_extrapolated": naive_epoch,
            "alternative_steps_timed": NAIVE_STEPS,
            "precomputing_seconds_extrapolated": precomputing,
            "precomputing_queries_timed": TIMED_QUERIES,
            "peak_above_inputs_mib": {
                str(FEW_QUERIES): round(few / 2**20, 1),
                str(MANY_QUERIES): round(many / 2**20, 1),
            },
            "banks_mib": round(inputs / 2**20, 1),
        },
        others=(
            Criterion(
                name="five_epochs_with_precomputing",
                value=NUM_EPOCHS * naive_epoch / (precomputing + NUM_EPOCHS * epoch),
                target=4.0,
            ),
            Criterion(
                name="peak_gib_with_banks",
                value=(inputs + max(few, many)) / 2**30,
                target=3.0,
                direction="at most",
            ),
            # A matrix of queries x bank would add (8192 - 2048) x 200,000 x 4 bytes: 4.6 GiB.
            Criterion(
                name="growth_gib_for_6144_more_queries",
                value=(many - few) / 2**30,
                target=0.1,
                direction="at most",
            ),
            Criterion(
                name="difference_of_losses", value=difference, target=1e-3, direction="at most"
            ),
        ),
    )

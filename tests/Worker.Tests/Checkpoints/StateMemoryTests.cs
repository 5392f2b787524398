using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Checkpoints;

public sealed class StateMemoryTests : IDisposable
{
    private readonly KeptInTests _held = new();

    public void Dispose() => _held.Dispose();

    [Fact]
    public void Whoever_takes_a_ranks_place_finds_its_last_two_states_bit_by_bit()
    {
        using var scope = NewDisposeScope();
        using (var first = Open())
        {
            Enumerable.Range(1, 5).ToList().ForEach(step => Keep(first, step));
        }
        using var second = Open();
        Assert.Equal([4L, 5L], second.Steps);
        var state = second.At(4);
        var (rows, half, count) = (zeros(3, 5), zeros(7, dtype: ScalarType.BFloat16), zeros([]));
        // A view that does not lie in one piece is read into all the same.
        state.ReadInto([("rows", rows.t()), ("half", half), ("count", count)], "model.safetensors");
        Assert.True((rows.t() == Of(4)[0].Value).all().item<bool>());
        Assert.True((half == Of(4)[1].Value).all().item<bool>());
        Assert.Equal(4, count.item<float>());
        Assert.Equal(new Position(4, 40, 7, 3, 0.1 + 4), state.Meta.Position);
        Assert.Equal([1, 2, 3], state.Text("samples.json"));
        Assert.False(state.Has("ema.safetensors"));
    }

    [Fact]
    public void A_state_that_a_kill_left_half_written_is_not_there_and_the_one_before_is()
    {
        using var scope = NewDisposeScope();
        using var memory = Open();
        Keep(memory, 1);
        Keep(memory, 2);
        using var slot = new MemorySlot(_held.Paths[0]);
        Assert.Throws<InvalidOperationException>(() =>
            slot.Write(3, new byte[MemorySlot.TagBytes], [], 64, _ => throw new InvalidOperationException("killed")));
        Assert.Equal([2L], memory.Steps);
        Keep(memory, 3);
        Assert.Equal([2L, 3L], memory.Steps);
    }

    [Fact]
    public void What_is_beyond_the_agreed_step_is_forgotten_so_that_the_step_itself_is_not_written_over_next()
    {
        using var scope = NewDisposeScope();
        using var memory = Open();
        Keep(memory, 7);
        Keep(memory, 8);
        memory.ForgetBeyond(7);
        Keep(memory, 8);
        Assert.Equal([7L, 8L], memory.Steps);
    }

    [Fact]
    public void Another_layout_another_batch_left_out_or_another_rank_finds_nothing()
    {
        using var scope = NewDisposeScope();
        using (var memory = Open())
        {
            Keep(memory, 1);
        }
        foreach (var change in new Action<RankLaunch>[]
        {
            l => l.Rank = 1, l => l.Assignment.LeftOutBatches.Add(3), l => l.Assignment.RoundBegan = 1,
            l => l.Assignment.Plan.Layout = new ParallelLayout { Pipeline = 2 },
        })
        {
            using var other = Open(change);
            Assert.Empty(other.Steps);
        }
        // A recovery's launch is another attempt, with another checkpoint to go on from, others to leave alone, and a trace.
        using var again = Open(l =>
        {
            (l.Assignment.Attempt.Attempt, l.Assignment.ResumeFrom) = (2, new CheckpointRef { Step = 1 });
            l.Assignment.PinnedSteps.Add(1);
            (l.Traceparent, l.Assignment.Traceparent) = ("00-1-2-01", "00-1-3-01");
        });
        Assert.Equal([1L], again.Steps);
    }

    [Fact]
    public void Tensors_of_another_shape_are_refused_in_words()
    {
        using var scope = NewDisposeScope();
        using var memory = Open();
        Keep(memory, 1);
        var refused = Assert.Throws<InvalidDataException>(() => memory.At(1).ReadInto([("rows", zeros(5, 4))], "model.safetensors"));
        Assert.Contains("model.safetensors", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_state_that_grows_is_still_whole()
    {
        using var scope = NewDisposeScope();
        using var memory = Open();
        Keep(memory, 1);
        Keep(memory, 2);
        var large = rand(1 << 20);
        memory.Keep(new KeptMeta(new Position(3, 0, 0, 0, 0), null, [], new Dictionary<string, byte[]>(), []),
            new Dictionary<string, IReadOnlyList<Piece>> { ["large"] = [("all", large)] });
        var read = zeros(1 << 20);
        memory.At(3).ReadInto([("all", read)], "large");
        Assert.True((read == large).all().item<bool>());
    }

    private StateMemory Open(Action<RankLaunch>? change = null)
    {
        var launch = new RankLaunch
        {
            Assignment = new Assignment
            {
                Attempt = new AttemptRef { Run = "run", Stage = "pretrain", Attempt = 1 }, WorldSize = 2, Plan = new TrainingPlan(),
            },
            Memory = { _held.Paths },
        };
        change?.Invoke(launch);
        return StateMemory.Open(launch)!;
    }

    private static Piece[] Of(int step) =>
    [
        ("rows", arange(15, ScalarType.Float32).reshape(5, 3).add(step)), ("half", full(7, step, ScalarType.BFloat16)),
        ("count", tensor((float)step)),
    ];

    private static void Keep(StateMemory memory, int step) => memory.Keep(
        new KeptMeta(
            new Position(step, step * 10, 7, 3, 0.1 + step), null, [], new Dictionary<string, byte[]> { ["samples.json"] = [1, 2, 3] }, []),
        new Dictionary<string, IReadOnlyList<Piece>> { ["model.safetensors"] = Of(step) });
}

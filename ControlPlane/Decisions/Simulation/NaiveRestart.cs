using System.Collections.Immutable;
using DeepSeekOps.Decisions.Goodput;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>What became of a job under naive restart.</summary>
/// <param name="Goodput">Training that counts over the job's GPUs × time.</param>
/// <param name="GpuSeconds">By bucket; they add up to the job's GPUs × time, exactly.</param>
public sealed record NaiveReplay(
    double Goodput, int Interruptions, double LostGpuHours, ImmutableSortedDictionary<string, double> GpuSeconds);

/// <summary>
/// The same trace as somebody would play it by hand: a spare takes the place of a machine that fails, all start again, and a machine that
/// is repaired goes back to its place. It costs nothing to notice a fault or to swap back, which is in its favour.
/// </summary>
public static class NaiveRestart
{
    /// <summary>What a restart of the whole job takes in it.</summary>
    public static readonly TimeSpan Restart = TimeSpan.FromMinutes(15);

    public static readonly TimeSpan CheckpointEvery = TimeSpan.FromMinutes(30);

    /// <summary>Faults this close together are one interruption.</summary>
    private static readonly TimeSpan OneFor = TimeSpan.FromMinutes(5);

    /// <param name="places">Of the trace's machines in the cluster.</param>
    public static NaiveReplay Play(FaultTrace trace, ImmutableArray<int> places, int machines, int nodes, int slots, TimeSpan until)
    {
        var play = new Played(nodes, machines, nodes * slots);
        var happenings = trace.Faults.SelectMany(f => new[]
        {
            (At: f.From, Up: false, Machine: places[f.Node]), (At: f.Until, Up: true, Machine: places[f.Node]),
        }).Where(h => h.At < until).OrderBy(h => h.At).ThenByDescending(h => h.Up).ThenBy(h => h.Machine);
        foreach (var (at, up, machine) in happenings)
        {
            play.MoveTo(at);
            if (up)
            {
                play.Return(machine);
            }
            else
            {
                play.Fail(machine);
            }
        }

        play.MoveTo(until);
        var ledger = play.Ledger;
        double productive = ledger.Total > TimeSpan.Zero ? ledger[GoodputBucket.Productive] / ledger.Total : 0;
        return new NaiveReplay(productive, play.Interruptions, (ledger.Total - ledger[GoodputBucket.Productive]).TotalHours,
            Enum.GetValues<GoodputBucket>().ToImmutableSortedDictionary(
                GoodputBuckets.NameOf, b => ledger[b].TotalSeconds, StringComparer.Ordinal));
    }

    private sealed class Played(int nodes, int machines, int gpus)
    {
        private readonly bool[] _down = new bool[machines];

        /// <summary>Who stands in each place; its own machine has the place's number. -1: nobody.</summary>
        private readonly int[] _in = [.. Enumerable.Range(0, nodes)];
        private TimeSpan _now;
        private TimeSpan _trainsFrom;
        private TimeSpan? _last;

        public GoodputLedger Ledger { get; } = new();

        public int Interruptions { get; private set; }

        public void MoveTo(TimeSpan at)
        {
            if (_in.Contains(-1))
            {
                Ledger.Enter(GoodputBucket.Queue, "", gpus, at - _now);
                _trainsFrom = at + Restart;
            }
            else
            {
                var begin = _trainsFrom < _now ? _now : _trainsFrom > at ? at : _trainsFrom;
                Ledger.Enter(GoodputBucket.Restart, "", gpus, begin - _now);
                Ledger.Enter(GoodputBucket.Productive, "", gpus, at - begin);
            }

            _now = at;
        }

        public void Fail(int machine)
        {
            _down[machine] = true;
            int place = Array.IndexOf(_in, machine);
            if (place < 0)
            {
                return;
            }

            if (_now > _trainsFrom)
            {
                var since = TimeSpan.FromTicks((_now - _trainsFrom).Ticks % CheckpointEvery.Ticks);
                Ledger.Lose("", checked(since.Ticks * gpus));
            }

            Interruptions += _last is { } last && _now - last <= OneFor ? 0 : 1;
            _last = _now;
            _trainsFrom = _now + Restart;
            _in[place] = Spare();
        }

        public void Return(int machine)
        {
            _down[machine] = false;
            if (machine < nodes)
            {
                _in[machine] = machine;
            }

            while (Array.IndexOf(_in, -1) is var place and >= 0 && Spare() is var spare and >= 0)
            {
                _in[place] = spare;
            }
        }

        private int Spare() => Enumerable.Range(nodes, _down.Length - nodes).FirstOrDefault(m => !_down[m] && !_in.Contains(m), -1);
    }
}

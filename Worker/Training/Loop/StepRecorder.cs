using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Parallel;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// Which steps are recorded, and what of them is handed over. Orders reach the ranks of a gang one after another, so that each says in the
/// call that ends every step whether it has heard; all begin with the step after the one at which all had. No call is made for it.
/// </summary>
internal sealed class StepRecorder(IRankLink link, StepTrace trace, RankContext rank, IProcessGroup world)
{
    private const string BootIdFile = "/proc/sys/kernel/random/boot_id";

    /// <summary>
    /// An order's own mark, of its id in milliseconds: another one eight minutes later may have the same. Those of 4,096 ranks add up to
    /// what an int holds.
    /// </summary>
    private const int MarkMask = (1 << 19) - 1;

    private readonly List<long> _together = [];
    private readonly List<long> _steps = [];
    private TraceOrder? _said;
    private TraceOrder? _recorded;
    private long _newest;

    /// <summary>What is summed up over the ranks as a step ends.</summary>
    public (int Heard, int Mark) Says()
    {
        // A newer order while one is recorded is heard of when that is over.
        _said = _recorded is null && link.Trace is { } order && order.Id != _newest ? order : null;
        return _said is null ? (0, 0) : (1, MarkOf(_said));
    }

    /// <summary>Right after the call that all ranks end together.</summary>
    /// <param name="began">When the step did.</param>
    /// <param name="heard">Of the ranks, what <see cref="Says"/> sums up to; as <paramref name="marks"/>.</param>
    public void StepEnded(long step, long began, int heard, int marks)
    {
        if (_recorded is null && _said is null)
        {
            return;
        }
        var now = StepTrace.Now();
        if (_recorded is { } order)
        {
            trace.Note(SpanKinds.Step, $"step {step}", began);
            _together.Add(now);
            _steps.Add(step);
            if (_steps.Count >= order.Steps)
            {
                _recorded = null;
                link.Report(new RankReport { Trace = Told(order, trace.Take()) });
            }
        }
        else if (_said is { } agreed && heard == world.Ranks && marks == (long)MarkOf(agreed) * world.Ranks)
        {
            (_recorded, _newest) = (agreed, agreed.Id);
            _steps.Clear();
            _together.Clear();
            _together.Add(now);
            trace.Begin();
        }
    }

    private static int MarkOf(TraceOrder order) => (int)(order.Id & MarkMask);

    private RankTrace Told(TraceOrder order, IReadOnlyList<Span> spans)
    {
        var told = new RankTrace
        {
            Id = order.Id, Attempt = order.Attempt, Rank = rank.Rank, Clock = Clock(), TogetherNanoseconds = { _together },
            Spans = Columns(spans, order.SpansMax),
        };
        var whole = spans.Where(s => s.Kind == SpanKinds.Step).OrderBy(s => s.Began).ToList();
        foreach (var (number, step) in _steps.Zip(whole))
        {
            told.Steps.Add(ToProto(RankStep.Of(number, step, spans)));
        }
        return told;
    }

    private static RecordedStep ToProto(RankStep step) => new()
    {
        Step = step.Step, BeganNanoseconds = step.Began, EndedNanoseconds = step.Ended,
        PassesBeganNanoseconds = step.PassesBegan, PassesEndedNanoseconds = step.PassesEnded,
        Busy = step.Busy, Collectives = step.Collectives, Sends = step.Sends, Waits = step.Waits,
        Forward = step.Forward, Backward = step.Backward, Weights = step.Weights,
    };

    private static RecordedSpans Columns(IReadOnlyList<Span> spans, int most)
    {
        var ordered = spans.OrderBy(s => s.Began).ThenByDescending(s => s.Ended).ToList();
        var from = ordered.Count == 0 ? 0 : ordered[0].Began;
        var columns = new RecordedSpans { FromNanoseconds = from, LeftOut = Math.Max(0, ordered.Count - most) };
        var places = new Dictionary<(string, string), int>();
        foreach (var span in ordered.Take(most))
        {
            if (!places.TryGetValue((span.Kind, span.Name), out var place))
            {
                places.Add((span.Kind, span.Name), place = places.Count);
                columns.Names.Add($"{span.Kind}: {span.Name}");
            }
            // Both ends are cut alike, so that what lies within another still does.
            var (began, ended) = ((span.Began - from) / 1000, (span.Ended - from) / 1000);
            columns.Name.Add(place);
            columns.BeganMicroseconds.Add((uint)Math.Min(uint.MaxValue, began));
            columns.TookMicroseconds.Add((uint)Math.Min(uint.MaxValue, ended - began));
        }
        return columns;
    }

    /// <summary>Processes of one boot of one kernel share its monotonic clock, in containers too.</summary>
    private static string Clock()
    {
        try
        {
            return File.ReadAllText(BootIdFile).Trim();
        }
        catch (IOException)
        {
            return Environment.MachineName;
        }
    }
}

using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// What a stage's agents told since this control plane began to listen. Memory only, and immutable: a beat gives the next one.
/// Beats repeat and overtake each other; state is taken from the newest, news from all. Agents are a list, not an array: each beat replaces
/// one of thousands, and copying all of them would make a second's beats nodes times nodes.
/// </summary>
public sealed record Vitals(Instant Since, ImmutableList<AgentVitals> Agents, News News, StepSample? Latest,
    ImmutableArray<double> StepSeconds)
{
    /// <summary>The longest of so many recent steps is what a hang is measured against.</summary>
    private const int StepsRemembered = 64;

    /// <summary>Steps with their time, oldest first: what a forecast's pace is the median of.</summary>
    private ImmutableArray<StepTime> Times { get; init; } = [];

    /// <summary>
    /// Losses of this many steps are remembered, so that steps that are made again can be held against them. Ours: more than lie between
    /// two checkpoints of any stage that saves each quarter of an hour at a second a step.
    /// </summary>
    private const int LossesRemembered = 1024;

    /// <summary>By attempt and step, oldest first.</summary>
    private ImmutableList<StepTold> Losses { get; init; } = [];

    public static Vitals Fresh(Instant now) => new(now, [], News.None, null, []);

    /// <summary>
    /// The first sample of the newest attempt that told a loss or gradient norm that is not finite; later ones follow from it.
    /// </summary>
    public StepSample? Broken { get; init; }

    public double? LongestStepSeconds => StepSeconds.IsEmpty ? null : StepSeconds.Max();

    public Vitals Take(AgentRegistration registration, Instant now)
    {
        var old = On(registration.Node);
        bool same = old?.AgentId == registration.AgentId;
        bool sameLaunch = same && old!.Attempt == registration.Attempt;
        var agent = new AgentVitals(registration.Node, registration.AgentId, registration.Pid, registration.Attempt, now,
            same ? old!.Sequence : 0, registration.Ranks, sameLaunch ? old!.LaunchSeconds : ImmutableDictionary<string, double>.Empty)
        {
            // Beaten is false again: what happened while the two were apart comes with the next beat.
            WithoutContact = registration.WithoutContact,
        };
        return With(agent);
    }

    /// <param name="stage">As it is written: what older attempts and gangs say is not taken for the present.</param>
    /// <param name="rejoined">The first word from a gang that trained before this control plane began.</param>
    public Vitals Take(AgentBeat beat, WatchedStage stage, bool rejoined, Instant now)
    {
        // Most beats say that all is as it was, and hundreds come each second.
        var told = rejoined || beat.Tells ? Told(beat, stage, rejoined, now) : this;
        var old = On(beat.Node);
        bool late = old is not null && (old.AgentId == beat.AgentId ? beat.Sequence <= old.Sequence : beat.Attempt < old.Attempt);
        if (late)
        {
            return told;
        }

        int pid = old?.AgentId == beat.AgentId ? old.Pid : 0;
        // Of another attempt it would be taken for this one's.
        var launch = beat.LaunchSeconds.IsEmpty && old?.AgentId == beat.AgentId && old.Attempt == beat.Attempt
            ? old.LaunchSeconds : beat.LaunchSeconds;
        return told.With(
            new AgentVitals(beat.Node, beat.AgentId, pid, beat.Attempt, now, beat.Sequence, beat.Ranks, launch)
            {
                Beaten = true,
                PeerHost = beat.PeerHost,
                Untold = beat.Untold,
                Launch = beat.Launch is { } launched ? new LaunchHeard(launched, now) : old?.AgentId == beat.AgentId ? old.Launch : null,
            });
    }

    /// <summary>With what the beat brings beside the state of its ranks.</summary>
    private Vitals Told(AgentBeat beat, WatchedStage stage, bool rejoined, Instant now)
    {
        var news = new News(
            Union(News.Checkpoints, beat.Checkpoints), Union(News.Refused, beat.RefusedCheckpoints),
            Union(News.Evaluations, beat.Evaluations),
            Union(News.Notes, beat.Notes), News.Back)
        {
            Resumed = Union(News.Resumed, beat.Resumed),
            LocalRestarts = Union(News.LocalRestarts, beat.LocalRestarts),
            Reads = Union(News.Reads, beat.Reads),
            Stored = Union(News.Stored, beat.Stored),
            Losses = News.Losses,
            SlowSeconds = News.SlowSeconds,
        };
        var samples = Pace.AddTo([.. beat.Samples.Where(s => s.Attempt == stage.Attempt)], Latest, stage.Pipeline, stage.Id.Stage);
        if (rejoined)
        {
            // Agents of before told nothing of it: there the oldest step that was not reported says it.
            var silent = On(beat.Node)?.WithoutContact ?? (samples.IsEmpty ? TimeSpan.Zero : now.At - samples[0].At);
            long step = beat.Ranks.Select(r => r.Step).DefaultIfEmpty(0).Max();
            // An agent that has made no step was not away: it is new.
            news = step == 0 ? news : news with { Back = news.Back.Add(new AgentBack(beat.Node, step, silent)) };
        }

        var newest = samples.Aggregate(Latest, Newer);
        var times = samples.IsEmpty ? StepSeconds : StepSeconds.AddRange(samples.Select(s => s.StepSeconds).Where(s => s > 0));
        var paced = Times.AddRange(samples.Where(s => s.StepSeconds > 0)
            .Select(s => new StepTime(s.Step, s.Tokens, s.StepSeconds) { Attempt = s.Attempt }));
        return this with
        {
            Losses = Remember(Losses, samples),
            Times = paced.Length > StepsRemembered ? paced[^StepsRemembered..] : paced,
            News = news,
            Latest = newest,
            Broken = FirstBroken(Broken, samples),
            StepSeconds = times.Length > StepsRemembered ? times[^StepsRemembered..] : times,
        };
    }

    /// <summary>What the watch over its losses found.</summary>
    public Vitals Found(ImmutableArray<LossFinding> losses) =>
        losses.IsEmpty ? this : this with { News = News with { Losses = Union(News.Losses, losses) } };

    /// <summary>What a slow rank has held its gang up by.</summary>
    public Vitals Slowed(double seconds) =>
        seconds > 0 ? this with { News = News with { SlowSeconds = News.SlowSeconds + seconds } } : this;

    /// <summary>After a break of ours nothing that was silent before it is held against anybody.</summary>
    public Vitals NotBefore(Instant awake) => awake.Up > Since.Up ? this with { Since = awake } : this;

    /// <summary>Once it is written down it is no news; what came in since then still is.</summary>
    /// <param name="stage">As it is written.</param>
    public Vitals Written(News written, WatchedStage stage, Instant now) => this with
    {
        PhaseBegan = Began.PhaseOf(stage, PhaseBegan, now),
        IncidentBegan = Began.IncidentOf(stage, IncidentBegan, now),
        News = new News(
            Less(News.Checkpoints, written.Checkpoints), Less(News.Refused, written.Refused), Less(News.Evaluations, written.Evaluations),
            Less(News.Notes, written.Notes), Less(News.Back, written.Back))
        {
            Resumed = Less(News.Resumed, written.Resumed),
            LocalRestarts = Less(News.LocalRestarts, written.LocalRestarts),
            Reads = Less(News.Reads, written.Reads),
            Stored = Less(News.Stored, written.Stored),
            Losses = Less(News.Losses, written.Losses),
            SlowSeconds = Math.Max(0, News.SlowSeconds - written.SlowSeconds),
        },
    };

    /// <summary>
    /// What a decision may see: agents of the gang that is held, what they told in a beat, and no sample of an older round.
    /// </summary>
    public Observation Observe(WatchedStage stage, ClusterSnapshot? cluster, Instant now)
    {
        int gang = stage.Gang?.Id.Number ?? int.MaxValue;
        var latest = Latest is { } sample && sample.Attempt > stage.RoundBegan ? sample : null;
        return new Observation(cluster, [.. Agents.Where(a => a.Attempt >= gang).Select(a => a.Beaten ? a : a with { Ranks = [] })], News,
            latest, Since, now)
        {
            // Until the layout of now has made a step, those of the one before stand for it.
            LongestStepSeconds = Times.Any(t => t.Attempt >= stage.LayoutFrom) ? LongestStepSeconds : LongestStepSeconds / stage.Rate,
            Times = Times,
            PhaseFor = Began.PhaseOf(stage, PhaseBegan, now).AgeAt(now),
            IncidentFor = Began.IncidentOf(stage, IncidentBegan, now).AgeAt(now),
            Broken = Broken?.Attempt == stage.Attempt ? Broken : null,
            Losses = Losses,
        };
    }

    private static ImmutableList<StepTold> Remember(
        ImmutableList<StepTold> known, ImmutableArray<StepSample> samples)
    {
        var all = samples.IsEmpty ? known
            : known.AddRange(samples.Where(s => s.Learned).Select(s => new StepTold(s.Attempt, s.Step, s.Loss, s.At)));
        return all.Count > LossesRemembered ? all.RemoveRange(0, all.Count - LossesRemembered) : all;
    }

    /// <summary>
    /// An agent that launched its rank again within the attempt goes back in steps and on in time; a clock that was set goes back in time
    /// and on in steps. Whichever is beyond what is known is the present.
    /// </summary>
    private static StepSample Newer(StepSample? old, StepSample sample) => old is null || sample.Attempt > old.Attempt
        || (sample.Attempt == old.Attempt && (sample.Step > old.Step || sample.At > old.At)) ? sample : old;

    private static StepSample? FirstBroken(StepSample? known, ImmutableArray<StepSample> samples)
    {
        foreach (var sample in samples.Where(s => !double.IsFinite(s.Loss) || !double.IsFinite(s.GradNorm)))
        {
            known = known is null || sample.Attempt > known.Attempt || (sample.Attempt == known.Attempt && sample.Step < known.Step)
                ? sample : known;
        }

        return known;
    }

    private Began? PhaseBegan { get; init; }

    private Began? IncidentBegan { get; init; }

    /// <summary>Where each node's agent stands in <see cref="Agents"/>: hundreds of them beat each second.</summary>
    private ImmutableDictionary<NodeId, int> Positions { get; init; } = ImmutableDictionary<NodeId, int>.Empty;

    internal AgentVitals? On(NodeId node) => Positions.TryGetValue(node, out int position) ? Agents[position] : null;

    /// <summary>Nothing runs there any more: whoever speaks for one of these nodes next is another agent.</summary>
    internal Vitals Without(ImmutableArray<NodeId> nodes)
    {
        var left = Agents.RemoveAll(a => nodes.Contains(a.Node));
        return this with
        {
            Agents = left,
            Positions = left.Select((a, at) => KeyValuePair.Create(a.Node, at)).ToImmutableDictionary(),
        };
    }

    private Vitals With(AgentVitals agent) => Positions.TryGetValue(agent.Node, out int position)
        ? this with { Agents = Agents.SetItem(position, agent) }
        : this with { Agents = Agents.Add(agent), Positions = Positions.Add(agent.Node, Agents.Count) };

    private static ImmutableArray<T> Union<T>(ImmutableArray<T> old, ImmutableArray<T> more) =>
        more.IsEmpty ? old : [.. old.Union(more)];

    private static ImmutableArray<T> Less<T>(ImmutableArray<T> old, ImmutableArray<T> written) =>
        written.IsEmpty ? old : [.. old.Except(written)];
}

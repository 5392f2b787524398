using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.Worker.Agent;

public enum RankLife
{
    /// <summary>Started; loading its libraries.</summary>
    Warming = 0,
    /// <summary>Warm: waits for what to train.</summary>
    Ready = 1,
    Ended = 2,
}

/// <summary>A rank process as its agent sees it. Without a rank it is a standby.</summary>
/// <param name="Slot">The agent's own number of the process: a pid may come again, this does not.</param>
public sealed record RankSeen(int Slot, int Pid, DateTimeOffset SpawnedAt)
{
    public RankLife Life { get; init; }

    public int? Rank { get; init; }

    /// <summary>Its place on its node, and so its GPU, whatever number it has in the gang. Null: a standby's.</summary>
    public int? LocalRank { get; init; }

    /// <summary>It was launched with others, and can leave them without ending.</summary>
    public bool OfGang { get; init; }

    /// <summary>The attempt it was launched for; 0 for a standby.</summary>
    public int Attempt { get; init; }

    public RankState State { get; init; } = RankState.Starting;

    public string Phase { get; init; } = "loading";

    public long Step { get; init; }

    /// <summary>The step that it went on from; null: it has not restored yet.</summary>
    public long? BeganAt { get; init; }

    public long CollectiveSequence { get; init; }

    /// <summary>
    /// What its steps took so far without waiting for others, and what it waited for them and for a core; 0: not measured.
    /// </summary>
    public (double Own, double Waited, double Queued) Spent { get; init; }

    public DateTimeOffset ProgressAt { get; init; } = SpawnedAt;

    /// <summary>Launches of its attempt that the agent made by itself before this one.</summary>
    public int LocalTry { get; init; }

    /// <summary>The kernel has stopped the process.</summary>
    public bool Halted { get; init; }

    /// <summary>What it printed last; told, never compared.</summary>
    public string LastLine { get; init; } = "";

    /// <summary>Its last lines, oldest first, once it has ended.</summary>
    public ImmutableArray<string> LastLines { get; init; } = [];

    /// <summary>Type and place of the exception that ended it; empty where none told.</summary>
    public string Fault { get; init; } = "";

    /// <summary>What says that it was killed for lack of memory; empty: nothing.</summary>
    public string MemoryKill { get; init; } = "";

    /// <summary>The order to save that was last passed on to it.</summary>
    public int SaveOrder { get; init; }

    /// <summary>Steps of checkpoints that it was last told to leave alone.</summary>
    public ImmutableArray<long> Pinned { get; init; } = [];

    public bool StopAsked { get; init; }

    /// <summary>The local rank whose place a standby makes itself ready for; null: none.</summary>
    public int? PreparedFor { get; init; }

    public int? ExitCode { get; init; }

    public string Error { get; init; } = "";

    /// <summary>The number that is not finite that it said it ends by.</summary>
    public NotFinite? Broke { get; init; }

    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>The first beat that told of its end; 0: none has.</summary>
    public long EndToldBy { get; init; }

    public DateTimeOffset? HelloAt { get; init; }

    public DateTimeOffset? ReadyAt { get; init; }

    public DateTimeOffset? LaunchedAt { get; init; }

    public DateTimeOffset? RestoredAt { get; init; }

    public DateTimeOffset? FirstStepAt { get; init; }

    public DateTimeOffset? ToldAt { get; init; }

    /// <summary>What it was told of the trace that its launch is part of; empty: nothing.</summary>
    public string Traceparent { get; init; } = "";

    /// <summary>What it said of its launch since, by its own clock.</summary>
    public ImmutableArray<(string What, TimeSpan Since, TimeSpan Took)> Parts { get; init; } = [];

    /// <summary>When it began with its launch: its words take a while to be heard, and the one that took least says it best.</summary>
    public DateTimeOffset? BeganLaunchAt { get; init; }

    /// <summary>Where other ranks reach it; 0: it is not ready.</summary>
    public int PeerPort { get; init; }

    /// <summary>It has been told what to train, and with whom.</summary>
    public bool Told { get; init; }

    /// <summary>The other rank that was gone, and so broke its gang or ended it; null: none was.</summary>
    public int? LostPeer { get; init; }

    /// <summary>It has let go of what it trained, since its gang is broken or it was told to, and can be launched again.</summary>
    public bool LeftGang { get; init; }

    public DateTimeOffset? RegroupAskedAt { get; init; }

    /// <summary>Launched for a gang, ready, and not told yet who is in it.</summary>
    public bool WaitsForGang => Rank is not null && !Told && Life == RankLife.Ready;

    public bool Alive => Life != RankLife.Ended;

    public bool Standby => Rank is null;

    /// <summary>It no longer needs the machine for itself: its first step is done, or it has ended.</summary>
    public bool Settled => !Alive || FirstStepAt is not null;

    /// <summary>As a warm process it keeps nothing of a launch before.</summary>
    /// <param name="seat">Where it is placed, and among how many. Null: it is alone.</param>
    public RankSeen LaunchedAs(int rank, int attempt, DateTimeOffset now, int localTry = 0, (int LocalRank, int World)? seat = null) =>
        new(Slot, Pid, SpawnedAt)
        {
            LocalRank = seat?.LocalRank ?? rank, OfGang = seat is { World: > 1 },
            Life = Life, PeerPort = PeerPort, HelloAt = HelloAt, ReadyAt = ReadyAt,
            Rank = rank, Attempt = attempt, LaunchedAt = now, ProgressAt = now, LocalTry = localTry,
        };

    public RankSeen Hear(RankReport report, DateTimeOffset now)
    {
        var heard = this with { ProgressAt = now };
        return report.Match(
            // What only a newer worker says arrives as none.
            none: () => heard,
            hello: _ => heard with { HelloAt = now },
            ready: ready => heard with { ReadyAt = now, Life = RankLife.Ready, PeerPort = ready.PeerPort },
            progress: progress => heard with
            {
                State = progress.State,
                Phase = progress.Phase,
                Step = progress.Step,
                CollectiveSequence = progress.CollectiveSequence,
                Spent = (progress.OwnSeconds, progress.WaitedSeconds, progress.QueuedSeconds),
                RestoredAt = RestoredAt ?? (progress.State == RankState.Training ? now : null),
                BeganAt = BeganAt ?? (progress.State == RankState.Training ? progress.Step : null),
            },
            pulse: pulse => this with { CollectiveSequence = pulse.CollectiveSequence },
            done: done => heard with { State = RankState.Done, Step = done.Step, Phase = "done" },
            failed: failed => this with
            {
                Error = failed.Error,
                Fault = failed.Fault,
                Broke = failed.NotFinite,
                LostPeer = failed.HasLostPeer ? failed.LostPeer : null,
            },
            leftGang: left => heard with
            {
                State = RankState.Starting,
                Phase = "waiting for its gang",
                LeftGang = true,
                LostPeer = left.HasLostPeer ? left.LostPeer : null,
            },
            prepared: _ => this,
            sample: sample => heard with
            {
                State = RankState.Training,
                Step = sample.Step,
                RestoredAt = RestoredAt ?? now,
                FirstStepAt = FirstStepAt ?? now,
            },
            // Signs of life that go to the control plane as they are.
            checkpoint: _ => heard,
            evaluation: _ => heard,
            expertLoad: _ => heard,
            resumed: _ => heard,
            refused: _ => heard,
            note: _ => heard,
            trace: _ => heard,
            stored: _ => heard,
            part: part => heard.With(part, now),
            // Of ranks that no agent started (LocalGang).
            reference: _ => heard,
            collectives: _ => heard,
            bench: _ => heard,
            forming: _ => heard);
    }

    /// <summary>Ours: a launch has six, and one that tells of more tells of something else.</summary>
    private const int PartsMax = 16;

    /// <summary>Of a launch: a day, as of a step.</summary>
    private const double MostSeconds = 86_400;

    /// <summary>What is not of the trace that it was told is of a launch before.</summary>
    private RankSeen With(RankPart part, DateTimeOffset now)
    {
        if (Traceparent.Length == 0 || part.Traceparent != Traceparent || Parts.Length == PartsMax || ToldAt is not { } told
            || !(part.SinceLaunch >= 0 && part.Seconds >= 0 && part.SinceLaunch + part.Seconds <= MostSeconds))
        {
            return this;
        }

        var (since, took) = (TimeSpan.FromSeconds(part.SinceLaunch), TimeSpan.FromSeconds(part.Seconds));
        var began = now - since - took;
        began = BeganLaunchAt < began ? BeganLaunchAt.Value : began;
        // It cannot have begun with what it did not know of.
        return this with { Parts = Parts.Add((part.What, since, took)), BeganLaunchAt = began > told ? began : told };
    }

    public RankSeen End(int exitCode, string lastLine, DateTimeOffset now) => this with
    {
        Life = RankLife.Ended,
        ExitCode = exitCode,
        EndedAt = now,
        State = State == RankState.Done && exitCode == 0 ? RankState.Done : RankState.Exited,
        LastLine = lastLine,
        Halted = false,
    };

    /// <summary>"ended by signal 9 (SIGKILL); last line: 'step 12'", for the log and for notes.</summary>
    public string HowItEnded => ExitCode is not { } code ? "did not end"
        : DescribeExit(code) + (MemoryKill.Length > 0 ? $", probably out of memory ({MemoryKill})" : "")
            + (Error.Length > 0 ? $": {Error}" : LastLine.Length > 0 ? $"; last line: '{LastLine}'" : "");

    public RankStatus ToStatus(DateTimeOffset now)
    {
        var status = new RankStatus
        {
            Rank = Rank ?? -1,
            Pid = Pid,
            State = State,
            Attempt = Attempt,
            Step = Step,
            Phase = WaitsForGang ? "waiting for its gang" : Phase,
            SinceProgress = Duration.FromTimeSpan(now > ProgressAt ? now - ProgressAt : TimeSpan.Zero),
            CollectiveSequence = CollectiveSequence,
            OwnSeconds = Spent.Own,
            WaitedSeconds = Spent.Waited,
            QueuedSeconds = Spent.Queued,
            LocalTry = LocalTry,
            Halted = Halted,
            NotFinite = Broke,
            PeerPort = PeerPort,
            WaitsForGang = WaitsForGang,
        };
        if (LostPeer is { } lost)
        {
            status.LostPeer = lost;
        }

        if (BeganAt is { } began)
        {
            status.BeganAt = began;
        }

        if (ExitCode is { } code && State == RankState.Exited)
        {
            (status.ExitCode, status.Error, status.Fault) = (code, Error, Fault);
            (status.LastLine, status.MemoryKill) = (LastLine, MemoryKill);
            status.LastLines.Add(LastLines);
            status.SinceExit = EndedAt is { } ended ? Duration.FromTimeSpan(now > ended ? now - ended : TimeSpan.Zero) : null;
        }

        return status;
    }

    /// <summary>
    /// What each part of the launch took, as far as it has come. A warm standby has spawned and loaded before it was needed:
    /// that time was nobody's, and counts 0.
    /// </summary>
    public ImmutableArray<(string Part, double Seconds)> LaunchSeconds()
    {
        var parts = ImmutableArray.CreateBuilder<(string, double)>();
        if (LaunchedAt is not { } from)
        {
            return [];
        }

        foreach (var (part, at) in new[] { ("spawn", HelloAt), ("load", ReadyAt), ("restore", RestoredAt), ("first_step", FirstStepAt) })
        {
            if (at is not { } end)
            {
                break;
            }

            parts.Add((part, end > from ? (end - from).TotalSeconds : 0));
            from = end > from ? end : from;
        }

        return parts.ToImmutable();
    }

    private static string DescribeExit(int code) => code switch
    {
        6 + 128 => "ended by signal 6 (SIGABRT)",
        9 + 128 => "ended by signal 9 (SIGKILL)",
        11 + 128 => "ended by signal 11 (SIGSEGV)",
        15 + 128 => "ended by signal 15 (SIGTERM)",
        > 128 and < 128 + 65 => string.Create(CultureInfo.InvariantCulture, $"ended by signal {code - 128}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"ended with exit code {code}"),
    };
}

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

    /// <summary>The attempt it was launched for; 0 for a standby.</summary>
    public int Attempt { get; init; }

    public RankState State { get; init; } = RankState.Starting;

    public string Phase { get; init; } = "loading";

    public long Step { get; init; }

    public long CollectiveSequence { get; init; }

    public DateTimeOffset ProgressAt { get; init; } = SpawnedAt;

    /// <summary>The order to save that was last passed on to it.</summary>
    public int SaveOrder { get; init; }

    public bool StopAsked { get; init; }

    public int? ExitCode { get; init; }

    public string Error { get; init; } = "";

    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>The first beat that told of its end; 0: none has.</summary>
    public long EndToldBy { get; init; }

    public DateTimeOffset? HelloAt { get; init; }

    public DateTimeOffset? ReadyAt { get; init; }

    public DateTimeOffset? LaunchedAt { get; init; }

    public DateTimeOffset? RestoredAt { get; init; }

    public DateTimeOffset? FirstStepAt { get; init; }

    public bool Alive => Life != RankLife.Ended;

    public bool Standby => Rank is null;

    /// <summary>It no longer needs the machine for itself: its first step is done, or it has ended.</summary>
    public bool Settled => !Alive || FirstStepAt is not null;

    public RankSeen LaunchedAs(int rank, int attempt, DateTimeOffset now) =>
        this with { Rank = rank, Attempt = attempt, LaunchedAt = now, ProgressAt = now };

    public RankSeen Hear(RankReport report, DateTimeOffset now)
    {
        var heard = this with { ProgressAt = now };
        return report.KindCase switch
        {
            RankReport.KindOneofCase.Hello => heard with { HelloAt = now },
            RankReport.KindOneofCase.Ready => heard with { ReadyAt = now, Life = RankLife.Ready },
            RankReport.KindOneofCase.Progress => heard with
            {
                State = report.Progress.State,
                Phase = report.Progress.Phase,
                Step = report.Progress.Step,
                CollectiveSequence = report.Progress.CollectiveSequence,
                RestoredAt = RestoredAt ?? (report.Progress.State == RankState.Training ? now : null),
            },
            RankReport.KindOneofCase.Sample => heard with
            {
                State = RankState.Training,
                Step = report.Sample.Step,
                RestoredAt = RestoredAt ?? now,
                FirstStepAt = FirstStepAt ?? now,
            },
            RankReport.KindOneofCase.Done => heard with { State = RankState.Done, Step = report.Done.Step, Phase = "done" },
            RankReport.KindOneofCase.Failed => this with { Error = report.Failed.Error },
            // Checkpoints, evaluations, loads and notes are signs of life and go to the control plane as they are.
            _ => heard,
        };
    }

    /// <param name="lastWords">What it printed last, used where it did not say itself why it failed.</param>
    public RankSeen End(int exitCode, string lastWords, DateTimeOffset now) => this with
    {
        Life = RankLife.Ended,
        ExitCode = exitCode,
        EndedAt = now,
        State = State == RankState.Done && exitCode == 0 ? RankState.Done : RankState.Exited,
        Error = string.Join(": ", new[] { DescribeExit(exitCode), Error.Length > 0 ? Error : lastWords }.Where(s => s.Length > 0)),
    };

    public RankStatus ToStatus(DateTimeOffset now)
    {
        var status = new RankStatus
        {
            Rank = Rank ?? -1,
            Pid = Pid,
            State = State,
            Attempt = Attempt,
            Step = Step,
            Phase = Phase,
            SinceProgress = Duration.FromTimeSpan(now > ProgressAt ? now - ProgressAt : TimeSpan.Zero),
            CollectiveSequence = CollectiveSequence,
        };
        if (ExitCode is { } code && State == RankState.Exited)
        {
            status.ExitCode = code;
            status.Error = Error;
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
        // What is wrong with the input stands in the rank's own words.
        0 or RankEntry.BadInput or RankEntry.NoCheckpoint => "",
        6 + 128 => "ended by signal 6 (SIGABRT)",
        9 + 128 => "ended by signal 9 (SIGKILL)",
        11 + 128 => "ended by signal 11 (SIGSEGV)",
        15 + 128 => "ended by signal 15 (SIGTERM)",
        > 128 and < 128 + 65 => string.Create(CultureInfo.InvariantCulture, $"ended by signal {code - 128}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"exit code {code}"),
    };
}

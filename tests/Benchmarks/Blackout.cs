using System.Diagnostics;
using DeepSeekOps.ControlPlane.Tests.Storage;
using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>What is away for a while.</summary>
internal enum BlackoutKind
{
    /// <summary>The control plane, by kill -9; then it is started again.</summary>
    Killed,

    /// <summary>It stands still and keeps its sockets.</summary>
    Hung,

    /// <summary>The network between it and all agents.</summary>
    Parted,

    /// <summary>The network between it and a third of them, the first node's among them.</summary>
    PartlyParted,

    /// <summary>PostgreSQL, by a crash; then it is started again.</summary>
    Database,
}

/// <summary>What a blackout did to the run that went on beneath it. Nothing is allowed, but that agents take a while to be heard.</summary>
/// <param name="Ended">Stand-ins ended, orders to end, restart or roll back, each with its words.</param>
/// <param name="Launches">Agents launched again.</param>
/// <param name="Attempts">Attempts begun since, as the control plane has them.</param>
/// <param name="Lost">What was told meanwhile that the ledger has not.</param>
/// <param name="Returned">Until the control plane was there again, where it was started.</param>
/// <param name="Heard">Since then, for each agent until somebody decided for it again, ascending.</param>
/// <param name="Unheard">Agents that nobody answered.</param>
/// <param name="Words">What somebody who asked was told meanwhile.</param>
/// <param name="Waits">The words say that it waits, and for whom.</param>
internal sealed record BlackoutResult(
    IReadOnlyList<string> Ended, int Launches, int Attempts, LostReports Lost, TimeSpan Returned, IReadOnlyList<TimeSpan> Heard,
    int Unheard, string Words, bool Waits)
{
    public bool Harmless => Ended.Count == 0 && Launches == 0 && Attempts == 0 && Lost.Nothing && Unheard == 0 && Waits;
}

/// <summary>Takes something away from a load that trains, gives it back, and says what came of it.</summary>
internal static class Blackout
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <param name="server">Of the control plane's database; for <see cref="BlackoutKind.Database"/> alone.</param>
    /// <param name="stepsAfter">A second each, in which a decision that comes late shows.</param>
    public static async Task<BlackoutResult> Strike(
        LoadRun load, BlackoutKind kind, TimeSpan away, int seed, int stepsAfter, PostgresServer? server = null)
    {
        var gang = load.Gang;
        int ended = gang.Ended.Count, launched = gang.Launched, attempts = await Attempts(load);
        long from = gang.Told - gang.Untold + 1;
        long until = Stopwatch.GetTimestamp() + (long)(away.TotalSeconds * Stopwatch.Frequency);
        await Begin(load, kind, seed, server);
        var (words, waits) = await Told(load, kind, until);
        await Eventually.Is($"{away} are over", away + Patience, () => Task.FromResult(Stopwatch.GetTimestamp() >= until));
        gang.Listen();
        long back = Stopwatch.GetTimestamp();
        await End(load, kind, server);
        var returned = kind == BlackoutKind.Killed ? Stopwatch.GetElapsedTime(back) : TimeSpan.Zero;
        await Held(Patience, () => gang.Heard.Count >= load.Agents && gang.Untold <= 2);
        long to = gang.Told;
        await Held(Patience, () => gang.Told >= to + stepsAfter && gang.Untold <= 2);
        var lost = await load.Lost(from, to);
        return new BlackoutResult(
            [.. gang.Ended.Skip(ended)], gang.Launched - launched, await Attempts(load) - attempts, lost, returned,
            [.. gang.Heard.Select(h => h > returned ? h - returned : TimeSpan.Zero).Order()], load.Agents - gang.Heard.Count, words, waits);
    }

    private static async Task Begin(LoadRun load, BlackoutKind kind, int seed, PostgresServer? server)
    {
        switch (kind)
        {
            case BlackoutKind.Killed:
                await load.Dsops.KillControlPlane();
                break;
            case BlackoutKind.Hung:
                Dsops.Freeze(load.Dsops.Pid);
                break;
            case BlackoutKind.Parted:
                load.Gang.Parted = [.. load.Gang.Answered.Keys];
                break;
            case BlackoutKind.PartlyParted:
                string[] others = [.. load.Gang.Answered.Keys.Where(n => n != load.Gang.FirstNode).Order(StringComparer.Ordinal)];
                new Random(seed).Shuffle(others);
                load.Gang.Parted = [load.Gang.FirstNode, .. others.Take((load.Agents / 3) - 1)];
                break;
            case BlackoutKind.Database:
                await (server ?? throw new ArgumentNullException(nameof(server))).StopAtOnce();
                break;
            default:
                throw new UnreachableException($"blackout {kind}");
        }
    }

    private static async Task End(LoadRun load, BlackoutKind kind, PostgresServer? server)
    {
        switch (kind)
        {
            case BlackoutKind.Killed:
                await load.Dsops.StartDev();
                break;
            case BlackoutKind.Hung:
                Dsops.Thaw(load.Dsops.Pid);
                break;
            case BlackoutKind.Parted or BlackoutKind.PartlyParted:
                load.Gang.Parted = [];
                break;
            case BlackoutKind.Database:
                await server!.Start(CancellationToken.None);
                break;
            default:
                throw new UnreachableException($"blackout {kind}");
        }
    }

    /// <summary>Asks as a person does until the answer says it, or until it is over.</summary>
    private static async Task<(string Words, bool Waits)> Told(LoadRun load, BlackoutKind kind, long until)
    {
        (string words, bool waits) = ("", false);
        while (!waits && Stopwatch.GetTimestamp() < until)
        {
            switch (kind)
            {
                case BlackoutKind.Killed:
                    words = (await load.Dsops.Verb("show", LoadRun.Name)).Error;
                    waits = words.Contains("No control plane runs", StringComparison.Ordinal);
                    break;
                case BlackoutKind.Hung:
                    words = (await load.Dsops.Verb("show", LoadRun.Name)).Error;
                    waits = words.Contains("did not answer in time", StringComparison.Ordinal);
                    break;
                case BlackoutKind.Parted or BlackoutKind.PartlyParted:
                    words = (string)(await load.Dsops.Show(LoadRun.Name))["stages"]![0]!["reason"]!;
                    waits = words.Contains("no word from ", StringComparison.Ordinal);
                    break;
                case BlackoutKind.Database:
                    words = string.Join(' ', (await load.Ask("v1/health"))["problems"]?.AsArray().Select(p => (string)p!["text"]!) ?? []);
                    waits = words.Contains("The database cannot be written since", StringComparison.Ordinal);
                    break;
                default:
                    throw new UnreachableException($"blackout {kind}");
            }

            await Task.Delay(TimeSpan.FromSeconds(1));
        }

        return (words.ReplaceLineEndings(" ").Trim(), waits);
    }

    private static async Task<int> Attempts(LoadRun load) => Math.Max(
        load.Gang.Attempts.Count, (int)(await load.Dsops.Show(LoadRun.Name))["stages"]![0]!["attempt"]!);

    /// <returns>When what is waited for came, or the patience ended: what has not come then is counted.</returns>
    private static async Task Held(TimeSpan patience, Func<bool> holds)
    {
        long began = Stopwatch.GetTimestamp();
        while (!holds() && Stopwatch.GetElapsedTime(began) < patience)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50));
        }
    }
}

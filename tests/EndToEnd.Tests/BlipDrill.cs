using System.Globalization;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using DeepSeekOps.ControlPlane.Tests.Storage;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>What a run lost of its curve and of its weights.</summary>
/// <param name="Missing">Steps without a loss.</param>
/// <param name="Others">Steps whose loss is another one than in the undisturbed run.</param>
/// <param name="LogLines">Lines of the control plane's log that tell of failures, with those of their stacks.</param>
/// <param name="Relaunches">How far behind the newest durable checkpoint each launch began that an agent made by itself, in steps.</param>
/// <param name="Attempts">Launches by the control plane.</param>
internal sealed record BlipResult(
    IReadOnlyList<long> Missing, IReadOnlyList<long> Others, bool SameWeights, int LogLines, IReadOnlyList<long> Relaunches, int Attempts);

/// <summary>
/// PostgreSQL is stopped as by a crash and started again, several times in one run; then the run is held against an undisturbed one. A
/// rank may die in the middle of it: its agent alone can launch it again then.
/// </summary>
internal static partial class BlipDrill
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(8);

    /// <summary>Null: PostgreSQL is not installed.</summary>
    /// <param name="ranksDieToo">In every second stop the rank is killed.</param>
    public static async Task<BlipResult?> Run(int steps, int blips, Action<string>? tell = null, bool ranksDieToo = false)
    {
        await using var server = await PostgresServer.Begin(CancellationToken.None);
        if (server is null)
        {
            return null;
        }

        await using var dsops = await Dsops.Start("--database", await server.CreateDatabase(CancellationToken.None));
        await dsops.Submit(TinyPipeline.Pretraining("calm", steps));
        await dsops.UntilRun("calm", "completed", Patience);
        await dsops.Submit(TinyPipeline.Pretraining("shaken", steps));
        var durableAtDeath = new List<long>();
        for (int blip = 1; blip <= blips; blip++)
        {
            long from = (long)steps * blip / (blips + 2);
            await OnDisk(dsops, "shaken", from);
            int? victim = ranksDieToo && blip % 2 == 0 ? await Rank(dsops, "shaken") : null;
            if (victim is { } frozen)
            {
                Dsops.Freeze(frozen);
                long newest = NewestStep(dsops, "shaken");
                durableAtDeath.Add(newest);
                // The last news before its end is written then: nothing else waits to be.
                await Eventually.Is($"the ledger has the checkpoint of step {newest}", Patience,
                    async () => (await dsops.Json("checkpoints", "shaken")).AsArray().Any(c => (long)c!["step"]! == newest),
                    () => dsops.Evidence);
            }

            await server.StopAtOnce();
            if (victim is { } rank)
            {
                Dsops.Kill(rank);
            }

            // About three seconds of training that only the agent knows of.
            long without = await OnDisk(dsops, "shaken", NewestStep(dsops, "shaken") + 40);
            await server.Start(CancellationToken.None);
            tell?.Invoke(
                string.Create(CultureInfo.InvariantCulture, $"stop {blip}: the rank trained on to step {without} without a database"));
        }

        var run = await dsops.UntilRun("shaken", "completed", Patience);
        var (calm, shaken) = (await Losses(dsops, "calm"), await Losses(dsops, "shaken"));
        var result = new BlipResult(
            [.. Enumerable.Range(1, steps).Select(s => (long)s).Where(s => !shaken.ContainsKey(s))],
            [.. shaken.Where(s => calm.GetValueOrDefault(s.Key) != s.Value).Select(s => s.Key)],
            Weights(dsops, "calm", steps) == Weights(dsops, "shaken", steps),
            File.ReadAllLines(Path.Combine(dsops.DataDirectory, "logs", "control-plane.log"))
                .Count(l => !l.Contains("Z info ", StringComparison.Ordinal)),
            [.. durableAtDeath.Zip(Relaunched(dsops), (durable, from) => durable - from)],
            (int)run["stages"]![0]!["attempt"]!);
        await dsops.Stop();
        return result;
    }

    private static async Task<int> Rank(Dsops dsops, string run) => (int)(await dsops.UntilStage(run, "pretrain", "has a rank", Patience,
        s => s["ranks"]!.AsArray().Count > 0 && Dsops.IsAlive((int)s["ranks"]![0]!["pid"]!)))["ranks"]![0]!["pid"]!;

    /// <summary>The step that each launch by the agent alone went on from, as it wrote down at once.</summary>
    private static IEnumerable<long> Relaunched(Dsops dsops) =>
        Directory.EnumerateFiles(Path.Combine(dsops.DataDirectory, "nodes"), "agent.log", SearchOption.AllDirectories).Order()
            .SelectMany(File.ReadLines).Select(line => LocalTry().Match(line)).Where(found => found.Success)
            .Select(found => long.Parse(found.Groups[1].ValueSpan, CultureInfo.InvariantCulture));

    [GeneratedRegex(@"\(local try \d+ of attempt \d+\): it goes on from step (\d+),")]
    private static partial Regex LocalTry();

    /// <summary>By the checkpoints on the disk: nobody else knows while the database is away.</summary>
    private static async Task<long> OnDisk(Dsops dsops, string run, long step)
    {
        await Eventually.Is($"{run} has a checkpoint of step {step} or later", Patience,
            () => Task.FromResult(NewestStep(dsops, run) >= step), () => dsops.Evidence);
        return NewestStep(dsops, run);
    }

    private static long NewestStep(Dsops dsops, string run) => Folders(dsops, run).Select(f => f.Step).DefaultIfEmpty(0).Max();

    private static IEnumerable<(string Folder, long Step)> Folders(Dsops dsops, string run)
    {
        string stage = Path.Combine(dsops.DataDirectory, "checkpoints", run, "pretrain");
        return !Directory.Exists(stage) ? [] : Directory.EnumerateDirectories(stage, "step-*")
            .Select(f =>
                (f, long.TryParse(Path.GetFileName(f)["step-".Length..], CultureInfo.InvariantCulture, out long step) ? step : -1));
    }

    private static string Weights(Dsops dsops, string run, long step) => Convert.ToHexString(SHA256.HashData(
        File.ReadAllBytes(Path.Combine(Folders(dsops, run).Single(f => f.Step == step).Folder, "model.safetensors"))));

    /// <summary>As the export has them, to the last digit.</summary>
    public static async Task<Dictionary<long, string>> Losses(Dsops dsops, string run) =>
        (await Exported(dsops, run)).ToDictionary(l => l.Step, l => l.Loss);

    /// <summary>As they were told: a step that was made again is there again.</summary>
    public static async Task<List<(long Step, double Loss)>> LossesInOrder(Dsops dsops, string run) =>
        [.. (await Exported(dsops, run)).Select(l => (l.Step, double.Parse(l.Loss, CultureInfo.InvariantCulture)))];

    private static async Task<IEnumerable<(long Step, string Loss)>> Exported(Dsops dsops, string run)
    {
        using var http = new HttpClient { BaseAddress = new Uri(dsops.Http) };
        http.DefaultRequestHeaders.Authorization = new System.Net.Http.Headers.AuthenticationHeaderValue("Bearer", dsops.Token);
        string[] lines =
            (await http.GetStringAsync($"/series/export.csv?run={run}&stage=pretrain&names=loss")).Split('\n',
                StringSplitOptions.RemoveEmptyEntries);
        string[] names = lines[0].Trim().Split(',');
        var (step, loss) = (Array.IndexOf(names, "step"), Array.IndexOf(names, "loss"));
        return lines.Skip(1).Select(l => l.Trim().Split(',')).Where(c => c[loss].Length > 0)
            .Select(c => (long.Parse(c[step], CultureInfo.InvariantCulture), c[loss]));
    }
}

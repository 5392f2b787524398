using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Simulation;
using Xunit;

namespace DeepSeekOps.Simulation.Tests;

/// <summary>
/// Scenarios as plain text: what is the case, what happens when, and below the line what the control plane says to it. SIM_GOLDEN=write
/// writes what it says now into the files of the source folder, to be read as a diff.
/// </summary>
public sealed class GoldenTests
{
    private const string Line = "---";

    public static TheoryData<string> Files =>
        [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Scenarios"), "*.txt").Select(f => Path.GetFileName(f)!)
            .Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Files))]
    public void The_control_plane_says_what_the_scenario_says(string file)
    {
        string[] text = File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "Scenarios", file));
        var head = text.TakeWhile(line => line != Line).ToList();
        var world = SeedTests.Played(Read(head), Deciders.Real);
        string[] said = [.. world.Told.Select(e => $"{e.At - world.Now + world.Elapsed:h\\:mm\\:ss} {e.Kind}: {e.Text}"), .. Ledger(world)];
        if (Environment.GetEnvironmentVariable("SIM_GOLDEN") == "write")
        {
            File.WriteAllLines(Path.Combine(SourceFolder(), file), [.. head, Line, .. said]);
        }

        Assert.Equal(text.Skip(head.Count + 1), said);
        Assert.DoesNotContain(world.Told, e => e.Text.StartsWith($"{e.Kind}:", StringComparison.OrdinalIgnoreCase));
    }

    private static Scenario Read(List<string> head)
    {
        var settings = head.Where(l => l.Contains(':', StringComparison.Ordinal) && l[0] != '#').Select(l => l.Split(": "))
            .ToDictionary(l => l[0], l => l[1]);
        var script = head.Where(l => l.StartsWith("at ", StringComparison.Ordinal)).Select(l => l.Split(' ')).Select(l => new ScriptedFault(
            TimeSpan.FromSeconds(Number(l[1])), new NodeId(l[3]), new FaultCause(l[2], 1, Enum.Parse<FaultEffect>(l[2]))));
        return SmallWorld.Scripted((int)Number(settings["nodes"]), (int)Number(settings["gang"]), (int)Number(settings["steps"]),
            Number(settings["step seconds"]), (int)Number(settings["checkpoint every"]), settings.GetValueOrDefault("in memory") == "yes",
            settings.GetValueOrDefault("check new nodes") == "yes", [.. script]);
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private static IEnumerable<string> Ledger(Decisions.Simulation.Simulation world) => Enum.GetValues<GoodputBucket>()
        .Where(b => world.Ledger[b] > TimeSpan.Zero)
        .Select(b =>
            string.Create(CultureInfo.InvariantCulture, $"{GoodputBuckets.NameOf(b)} {world.Ledger[b].TotalSeconds:0.###} GPU-s"));

    private static string SourceFolder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "DeepSeekOps.sln")))
        {
            folder = folder.Parent;
        }

        return Path.Combine(folder?.FullName ?? throw new InvalidOperationException("Not below the repository."), "tests",
            "Simulation.Tests", "Scenarios");
    }
}

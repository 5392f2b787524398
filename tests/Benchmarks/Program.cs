using DeepSeekOps.Benchmarks;

// `dotnet run -c Release --project tests/Benchmarks -- NAME…`; without a name: all of them.
var known = new SortedDictionary<string, Func<Task>>(StringComparer.Ordinal)
{
    ["blackout"] = () => BlackoutBenchmark.Run(args),
    ["blips"] = BlipBenchmark.Run,
    ["checkpoint"] = CheckpointBenchmark.Run,
    ["chaos"] = () => ChaosBenchmark.Run(args),
    ["clicks"] = ClickBenchmark.Run,
    ["collectives"] = CollectiveBenchmark.Run,
    ["charts"] = ChartsBenchmark.Run,
    ["data"] = () => DataBenchmark.Run(args),
    ["drills"] = () => DrillsBenchmark.Run(args),
    ["failures"] = () => FailureBenchmark.Run(args),
    ["gangs"] = GangBenchmark.Run,
    ["kubernetes"] = KubernetesBenchmark.Run,
    ["load"] = () => LoadBenchmark.Run(args),
    ["lost-nodes"] = LostNodesBenchmark.Run,
    ["outage"] = () => OutageBenchmark.Run(args),
    ["placement"] = PlacementBenchmark.Run,
    ["planner"] = PlannerBenchmark.Run,
    ["queue"] = QueueBenchmark.Run,
    ["queue-starts"] = () => { QueueStartsBenchmark.Run(args); return Task.CompletedTask; },
    ["restart"] = RestartBenchmark.Run,
    ["gang-restart"] = () => GangRestartBenchmark.Run(args),
    ["simulator"] = SimulatorBenchmark.Run,
    ["spike-drill"] = () => { SpikeDrillBenchmark.Run(args); return Task.CompletedTask; },
    ["spikes"] = () => SpikesBenchmark.Run(args),
};
if (args.Any(a => a is "--help" or "-h" or "-?"))
{
    Console.WriteLine($"Usage: Benchmarks [NAME…] [options]; without a name the short ones. There are {string.Join(", ", known.Keys)}."
        + " What each measures and reads: tests/Benchmarks/README.md.");
    return 0;
}

// Options, each with a value, are of the benchmark that reads them; what is long or asks for a folder only runs when it is named.
string[] named = [.. args.TakeWhile(a => !a.StartsWith("--", StringComparison.Ordinal))];
string[] names = named.Length > 0 ? named : [.. known.Keys.Where(name => name is not (
    "blackout" or "chaos" or "data" or "load" or "outage" or "failures" or "drills" or "spike-drill" or "queue-starts"))];
if (Array.Find(names, name => !known.ContainsKey(name)) is { } unknown)
{
    Console.Error.WriteLine($"There is no benchmark '{unknown}'; there are {string.Join(", ", known.Keys)}.");
    return 2;
}

foreach (string name in names)
{
    await known[name]();
}

return Table.Missed ? 1 : 0;

using DeepSeekOps.Benchmarks;

// `dotnet run -c Release --project tests/Benchmarks -- NAME…`; without a name: all of them.
var known = new SortedDictionary<string, Func<Task>>(StringComparer.Ordinal)
{
    ["clicks"] = ClickBenchmark.Run,
    ["gangs"] = GangBenchmark.Run,
    ["placement"] = PlacementBenchmark.Run,
    ["planner"] = PlannerBenchmark.Run,
    ["queue"] = QueueBenchmark.Run,
    ["restart"] = RestartBenchmark.Run,
    ["simulator"] = SimulatorBenchmark.Run,
};
string[] names = args.Length > 0 ? args : [.. known.Keys];
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

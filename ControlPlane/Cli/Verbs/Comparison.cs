using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>Where runs are held against each other.</summary>
internal sealed record ComparedAt(string Stage, long Step);

/// <summary>Runs beside each other. The first is the one that the others are held against.</summary>
/// <param name="Differences">Fields of their pipelines that are not the same. Null: a pipeline is not read by this version.</param>
/// <param name="At">Null: there is no stage in which all of them have made a step.</param>
/// <param name="Values">Of each run, by series, at that step.</param>
internal sealed record Comparison(
    IReadOnlyList<Run> Runs, ImmutableArray<DifferentField>? Differences, ComparedAt? At, IReadOnlyList<Dictionary<string, double>> Values)
{
    private const string Loss = "loss";

    /// <summary>Columns of which a narrow terminal keeps the first; --json has all.</summary>
    private const int SeriesMost = 8;

    private static readonly string[] First = [Loss, "reward", "accuracy", "kl", "grad_norm", "learning_rate"];

    private static readonly Column[] States =
    [
        new("RUN", 1), new("STATE", 2), new("STAGE", 3), new("STEP", 4, Right: true), new("TOKENS/S", 6, Right: true),
        new("MFU", 7, Right: true), new("RESTARTS", 5, Right: true), new("GPU-HOURS", 4, Right: true), new("MONEY", 8, Right: true),
    ];

    /// <summary>Each has its own name.</summary>
    private ImmutableArray<DifferentField> Told => [.. (Differences ?? []).Where(one => one.Path != "name")];

    private static readonly Column[] Fields =
        [new("FIELD", 1, Flexible: true), new("VALUE", 2, Flexible: true), new("OF", 3, Flexible: true)];

    private static readonly Column[] Results =
    [
        new("RESULT", 1, Flexible: true), new("RUN", 2), new("VALUE", 3, Right: true), new("INTERVAL", 4), new("STEP", 5, Right: true),
    ];

    /// <summary>
    /// The last stage, by the order of the first run, in which each has made a step; and there the last step of who is the furthest behind.
    /// </summary>
    /// <exception cref="RefusalException">A stage or a step was asked for that not all of them have.</exception>
    public static ComparedAt? PlaceOf(IReadOnlyList<Run> runs, IReadOnlyList<ListSeriesReply> series, string? stage, long? step)
    {
        long? LastOf(int run, string name) =>
            series[run].Series.Where(s => s.Stage == name).Select(s => (long?)s.LastStep).Max();
        var common = runs[0].Stages.Select(s => s.Name)
            .Where(name => Enumerable.Range(0, runs.Count).All(run => LastOf(run, name) is not null)).ToList();
        if (stage is not null && !common.Contains(stage))
        {
            int without = Enumerable.Range(0, runs.Count).First(run => LastOf(run, stage) is null);
            throw new RefusalException($"{runs[without].Name} has made no step in a stage '{stage}'.", common.Count > 0
                ? $"All of them have in {string.Join(", ", common)}." : "There is no stage in which all of them have: leave --stage out.",
                ExitCode.Usage);
        }

        if ((stage ?? common.LastOrDefault()) is not { } chosen)
        {
            return step is null ? null
                : throw new RefusalException(
                    "There is no stage in which all of these runs have made a step.", "Leave --step out.", ExitCode.Usage);
        }

        var (behind, last) = Enumerable.Range(0, runs.Count).Select(run => (run, LastOf(run, chosen)!.Value)).MinBy(r => r.Value);
        return step is { } asked && (asked > last || asked < 1)
            ? throw new RefusalException($"--step is {asked}, and {runs[behind].Name} has made {last} in {chosen}.",
                $"Write 1 to {last}.", ExitCode.Usage)
            : new ComparedAt(chosen, step ?? last);
    }

    public void Write(Terminal terminal)
    {
        if (Runs.Any(run => run.Simulated))
        {
            terminal.Output.WriteLine("Simulated: no figure here is measured.");
        }

        Columns.Write(terminal, States, [.. Runs.Select(Standing)]);
        WriteValues(terminal);
        WriteResults(terminal);
        terminal.Output.WriteLine();
        if (Differences is null)
        {
            terminal.Output.WriteLine("What differs in their pipelines is not known: this version does not read one of them.");
            return;
        }

        terminal.Output.WriteLine(Told.Length == 0 ? "Their pipelines are the same but for the name." : "What differs in their pipelines:");
        if (Told.Length > 0)
        {
            Columns.Write(terminal, Fields, [.. Told.SelectMany(Rows)]);
        }
    }

    public string Json() => ProtoJson.Document(writer =>
    {
        writer.WriteStartObject();
        writer.WriteBoolean("simulated", Runs.Any(run => run.Simulated));
        if (At is { } at)
        {
            writer.WriteString("stage", at.Stage);
            writer.WriteNumber("step", at.Step);
        }

        writer.WriteStartArray("runs");
        for (int i = 0; i < Runs.Count; i++)
        {
            writer.WriteStartObject();
            writer.WriteString("name", Runs[i].Name);
            writer.WriteString("state", Runs[i].State);
            writer.WritePropertyName("cost");
            ProtoJson.Write(writer, Runs[i].Cost ?? new Cost());
            writer.WriteStartObject("series");
            foreach (var (name, value) in (At is null ? [] : Values[i]).OrderBy(v => v.Key, StringComparer.Ordinal))
            {
                if (double.IsFinite(value))
                {
                    writer.WriteNumber(name, value);
                }
                else
                {
                    writer.WriteString(name, value.ToString(CultureInfo.InvariantCulture));
                }
            }

            writer.WriteEndObject();
            writer.WriteStartArray("stages");
            foreach (var stage in Runs[i].Stages)
            {
                ProtoJson.Write(writer, stage);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("differences");
        foreach (var field in Told)
        {
            writer.WriteStartObject();
            writer.WriteString("field", field.Path);
            writer.WriteStartArray("values");
            foreach (string value in field.Values)
            {
                writer.WriteStringValue(value);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    });

    private static IReadOnlyList<string> Standing(Run run)
    {
        var stage = run.Stages.LastOrDefault(s => s.Attempt > 0) ?? run.Stages.FirstOrDefault() ?? new Stage();
        return
        [
            run.Name, run.State, stage.Name, Words.Steps(stage.Step, stage.TotalSteps),
            stage.HasTokensPerSecond ? Words.Count(stage.TokensPerSecond) : Words.None, Words.Percent(stage.HasMfu ? stage.Mfu : null),
            run.Stages.Sum(s => s.RestartsByCause.Values.Sum()).ToString(CultureInfo.InvariantCulture),
            run.Cost is { } cost ? Decisions.Words.GpuHours(cost.GpuTime.ToTimeSpan().TotalHours) : Words.None,
            run.Cost is { HasDollars: true } priced ? CostText.Money(priced.Dollars) : Words.None,
        ];
    }

    private void WriteValues(Terminal terminal)
    {
        terminal.Output.WriteLine();
        if (At is null)
        {
            terminal.Output.WriteLine("There is no stage in which all of them have made a step.");
            return;
        }

        terminal.Output.WriteLine($"At step {At.Step} of {At.Stage}:");
        string[] names = [.. Values.SelectMany(v => v.Keys).Distinct()
            .OrderBy(name => Array.IndexOf(First, name) is >= 0 and var place ? place : First.Length)
            .ThenBy(name => name, StringComparer.Ordinal).Take(SeriesMost)];
        Column[] columns = [new("RUN", 1), .. names.Select((name, n) => new Column(name.ToUpperInvariant(), 2 + (2 * n), Right: true))];
        bool lost = names.Contains(Loss);
        if (lost)
        {
            columns = [.. columns, new("LOSS TO FIRST", 3, Right: true)];
        }

        Columns.Write(terminal, columns, [.. Runs.Select((run, i) => (IReadOnlyList<string>)
            [run.Name, .. names.Select(name => Value(i, name)), .. lost ? [Beyond(i)] : (string[])[]])]);
    }

    private string Value(int run, string series) =>
        Values[run].TryGetValue(series, out double value) ? Words.Figure(value) : Words.None;

    /// <summary>"+0.0123": by so much its loss lies above the first run's.</summary>
    private string Beyond(int run) => run > 0
        && Values[run].TryGetValue(Loss, out double own) && Values[0].TryGetValue(Loss, out double first)
        ? (own - first).ToString("+0.0000;-0.0000;0", CultureInfo.InvariantCulture) : Words.None;

    private void WriteResults(Terminal terminal)
    {
        var told = Runs.SelectMany(run => run.Stages.SelectMany(stage => stage.Evaluations.Select(result =>
            (Name: $"{stage.Name}: {result.Name}", Run: run.Name, Result: result)))).ToList();
        var shared = told.GroupBy(one => one.Name).Where(same => same.Count() > 1).ToList();
        if (shared.Count == 0)
        {
            return;
        }

        terminal.Output.WriteLine();
        terminal.Output.WriteLine("Results that several of them have:");
        Columns.Write(terminal, Results, [.. shared.SelectMany(same => same.Select((one, n) => (IReadOnlyList<string>)
        [
            n == 0 ? one.Name : "", one.Run, Words.Figure(one.Result.Value),
            one.Result is { HasLow: true, HasHigh: true } known ? $"{Words.Figure(known.Low)} to {Words.Figure(known.High)}" : Words.None,
            one.Result.Step.ToString(CultureInfo.InvariantCulture),
        ]))]);
    }

    /// <summary>A row for each value, with the runs that have it.</summary>
    private IEnumerable<IReadOnlyList<string>> Rows(DifferentField field) =>
        field.Values.Zip(Runs.Select(run => run.Name)).GroupBy(one => one.First, one => one.Second)
            .Select((value, n) => (IReadOnlyList<string>)[n == 0 ? field.Path : "", value.Key, string.Join(", ", value)]);
}

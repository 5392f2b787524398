using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Hosting.Backups;
using DeepSeekOps.ControlPlane.Pipelines;

namespace DeepSeekOps.ControlPlane.Cli.Exports;

/// <param name="Folder">What was made.</param>
/// <param name="Points">Values of series that were written.</param>
internal sealed record Exported(string Folder, int Stages, int Series, long Points);

/// <summary>Writes a run's series, results and pipeline into a folder that other programs read. All of it is there, or nothing.</summary>
internal sealed class RunExport(Run run, Func<string, CancellationToken, Task<TextReader>> seriesOf)
{
    /// <summary>No stage can have the name: an underscore is in none.</summary>
    private const string Results = "_results";

    private readonly HashSet<(string Stage, string Name)> series = [];
    private long points;

    private DateTimeOffset Begun => run.SubmittedAt?.ToDateTimeOffset() ?? DateTimeOffset.UnixEpoch;

    /// <summary>Names by which training programs usually tell them: train/loss, train/grad_norm, train/learning_rate, eval/…</summary>
    internal static string NameOf(string series) => $"train/{series}";

    /// <param name="folder">Full path; it is made where it is not there.</param>
    /// <exception cref="IOException">An export of this run lies there.</exception>
    public async Task<Exported> Write(string folder, string format, CancellationToken cancellation)
    {
        if (!run.Stages.Any(HasTrained))
        {
            throw new InvalidDataException("no stage of it has begun yet");
        }

        string made = format == "mlflow" ? Path.Combine(folder, "mlruns", MlflowStore.ExperimentOf(run.Name))
            : Path.Combine(folder, format, run.Name);
        if (Path.Exists(made))
        {
            throw new IOException($"{made} is there already");
        }

        string parent = Path.GetDirectoryName(made) ?? folder;
        using var folders = new NewFolders(parent);
        Directory.CreateDirectory(parent);
        string aside = Path.Combine(folder, FormattableString.Invariant($".{run.Name}.{Environment.ProcessId}.tmp"));
        try
        {
            Directory.CreateDirectory(aside);
            await (format switch
            {
                "tensorboard" => EachStage(
                    (stage, table) => Events(Path.Combine(aside, stage.Name), stage, table, cancellation), cancellation),
                "mlflow" => Mlflow(new MlflowStore(aside, made), cancellation),
                "parquet" => Parquet(aside, cancellation),
                _ => Csv(aside, cancellation),
            });
            Directory.Move(aside, made);
            folders.Keep();
            return new Exported(made, run.Stages.Count(HasTrained), series.Count, points);
        }
        finally
        {
            if (Directory.Exists(aside))
            {
                Directory.Delete(aside, recursive: true);
            }
        }
    }

    private async Task Csv(string folder, CancellationToken cancellation)
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "pipeline.yaml"), run.Pipeline, cancellation);
        foreach (var stage in run.Stages.Where(HasTrained))
        {
            using var table = await seriesOf(stage.Name, cancellation);
            await using var file = new StreamWriter(Path.Combine(folder, $"{stage.Name}.csv"));
            string? line = await table.ReadLineAsync(cancellation);
            var names = SeriesCsv.NamesOf(line);
            series.UnionWith(names.Select(name => (stage.Name, name)));
            for (; line is not null; line = await table.ReadLineAsync(cancellation))
            {
                await file.WriteAsync($"{line}\n");
                points += SeriesCsv.ValuesIn(line, names.Length);
            }

            // The first line has names where others have values.
            points -= names.Length;
        }

        await File.WriteAllLinesAsync(Path.Combine(folder, $"{Results}.csv"),
            Evaluations.Select(e => string.Join(',', e.Stage, e.Result.Name, Text(e.Result.Value),
                e.Result.HasLow ? Text(e.Result.Low) : "", e.Result.HasHigh ? Text(e.Result.High) : "", Text(e.Result.Samples),
                Text(e.Result.Step))).Prepend("stage,name,value,low,high,samples,step"), cancellation);

        static string Text(IFormattable number) => number.ToString(null, CultureInfo.InvariantCulture);
    }

    private async Task Parquet(string folder, CancellationToken cancellation)
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "pipeline.yaml"), run.Pipeline, cancellation);
        await EachStage(async (stage, table) =>
        {
            await using var file = File.Create(Path.Combine(folder, $"{stage.Name}.parquet"));
            points += await SeriesParquet.Write(file, table, cancellation);
            series.UnionWith(table.Names.Select(name => (stage.Name, name)));
        }, cancellation);
        await using var results = File.Create(Path.Combine(folder, $"{Results}.parquet"));
        await SeriesParquet.WriteResults(results, Evaluations, cancellation);
    }

    /// <summary>Of every stage, in order.</summary>
    private List<(string Stage, Evaluation Result)> Evaluations =>
        [.. run.Stages.SelectMany(stage => stage.Evaluations.Select(result => (stage.Name, result)))];

    private async Task EachStage(Func<Stage, SeriesCsv, Task> write, CancellationToken cancellation)
    {
        foreach (var stage in run.Stages.Where(HasTrained))
        {
            using var text = await seriesOf(stage.Name, cancellation);
            await write(stage, await SeriesCsv.Open(text, cancellation));
        }
    }

    /// <summary>What a later attempt made again is left out: a step has one value.</summary>
    private async Task Events(string folder, Stage stage, SeriesCsv table, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        var begun = stage.StartedAt?.ToDateTimeOffset() ?? Begun;
        using var events = new EventFile(File.Create(Path.Combine(folder, EventFile.NameOf(begun))), begun);
        await Points(stage, table, events.Scalar, cancellation);
        foreach (var result in stage.Evaluations)
        {
            events.Scalar(stage.EndedAt?.ToDateTimeOffset() ?? begun, result.Step, $"eval/{result.Name}", result.Value);
        }
    }

    private async Task Mlflow(MlflowStore store, CancellationToken cancellation)
    {
        string experiment = MlflowStore.ExperimentOf(run.Name);
        store.Experiment(experiment, run.Name, Begun);
        var fields = PipelineText.Parse(run.Pipeline).Spec is { } spec ? PipelineDiff.Full(spec) : [];
        await EachStage(async (stage, table) =>
        {
            using var metrics = store.Run(experiment, RunOf(stage, fields), run.Pipeline);
            await Points(stage, table, (at, step, name, value) => metrics.Add(name, at, value, step), cancellation);
            foreach (var result in stage.Evaluations)
            {
                metrics.Add($"eval/{result.Name}", stage.EndedAt?.ToDateTimeOffset() ?? Begun, result.Value, result.Step);
            }
        }, cancellation);
    }

    private MlflowRun RunOf(Stage stage, ImmutableArray<KeyValuePair<string, string>> fields) => new(
        MlflowRun.IdOf(run.Name, stage.Name), $"{run.Name}/{stage.Name}", run.Team, stage.StartedAt?.ToDateTimeOffset() ?? Begun,
        stage.EndedAt?.ToDateTimeOffset(), StatusOf(stage.State),
        // Fields of lists are numbered in brackets, which MLflow takes in no name.
        [.. fields.Select(f => KeyValuePair.Create(f.Key.Replace('[', '.').Replace("]", "", StringComparison.Ordinal), f.Value))],
        [
            KeyValuePair.Create("mlflow.runName", $"{run.Name}/{stage.Name}"), KeyValuePair.Create("mlflow.user", run.Team),
            KeyValuePair.Create("dsops.run", run.Name), KeyValuePair.Create("dsops.stage", stage.Name),
            KeyValuePair.Create("dsops.kind", stage.Kind), KeyValuePair.Create("dsops.state", stage.State),
            KeyValuePair.Create("dsops.simulated", run.Simulated ? "true" : "false"),
        ]);

    private async Task Points(
        Stage stage, SeriesCsv table, Action<DateTimeOffset, long, string, double> write, CancellationToken cancellation)
    {
        await foreach (var row in table.Rows(cancellation))
        {
            for (int i = 0; i < row.Values.Length && !row.Superseded; i++)
            {
                if (row.Values[i] is { } value)
                {
                    write(row.At, row.Step, NameOf(table.Names[i]), value);
                    series.Add((stage.Name, table.Names[i]));
                    points++;
                }
            }
        }
    }

    private static bool HasTrained(Stage stage) => stage.Step > 0 || stage.Attempt > 0;

    private static MlflowStatus StatusOf(string state) => state switch
    {
        "completed" => MlflowStatus.Finished,
        "failed" => MlflowStatus.Failed,
        "cancelled" => MlflowStatus.Killed,
        "waiting" or "queued" => MlflowStatus.Scheduled,
        _ => MlflowStatus.Running,
    };
}

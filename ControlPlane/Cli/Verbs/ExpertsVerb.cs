using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>How evenly tokens spread over the experts of each layer: first report of a stage beside its newest.</summary>
internal static class ExpertsVerb
{
    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var stage = new Option<string?>("--stage")
        {
            Description = "Of this stage; without it, of the one that reported last.",
            HelpName = "NAME",
        };
        var command = new Command("experts", "Shows how evenly tokens spread over the experts of each layer while a stage trains.") { name,
            stage };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var load = await client.GetExpertLoadAsync(
                new GetExpertLoadRequest { Run = parsed.GetValue(name), Stage = parsed.GetValue(stage) ?? "" },
                ControlPlaneConnection.Options(cancellation));
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(load));
            }
            else if (load.Newest is null)
            {
                await terminal.Output.WriteLineAsync(
                    "No load of experts yet. Pretraining and context extension report it every fifth step; "
                    + "the other stages and simulated ones do not.");
            }
            else
            {
                Write(terminal, parsed.GetValue(name) ?? "", load);
            }
            return ExitCode.Ok;
        });
        return command;
    }

    public static void Write(Terminal terminal, string run, ExpertLoad load)
    {
        terminal.Output.WriteLine($"{run}/{load.Stage}: {load.Experts} experts per layer, their tokens over the layer's mean");
        terminal.Output.WriteLine("BUSY@STEP, IDLE: the busiest and the least busy expert, 1 is perfect balance");
        terminal.Output.WriteLine("CV: standard deviation over the mean, EMPTY: experts without a token");
        ExpertLoadReport[] reports = load.First.Step == load.Newest.Step ? [load.Newest] : [load.First, load.Newest];
        // The newest stays longest where the terminal is narrow.
        Column[] columns = [new("LAYER", 1),
            .. reports.SelectMany(report => ColumnsOf(report.Step, firstRank: report == load.Newest ? 2 : 6))];
        Columns.Write(terminal, columns, [.. load.Newest.Layers.Select((layer, row) =>
            (IReadOnlyList<string>)[layer.Name,
                .. reports.SelectMany(report => row < report.Layers.Count ? Cells(report.Layers[row]) : [])])]);
    }

    private static IEnumerable<Column> ColumnsOf(long step, int firstRank) =>
    [
        new(string.Create(CultureInfo.InvariantCulture, $"BUSY@{step}"), firstRank, Right: true), new("IDLE", firstRank + 1, Right: true),
        new("CV", firstRank + 2, Right: true), new("EMPTY", firstRank + 3, Right: true),
    ];

    private static IEnumerable<string> Cells(LayerLoad layer) =>
        [Ratio(layer.Busiest), Ratio(layer.Idlest), Ratio(layer.Variation), Words.Percent(layer.WithoutTokens)];

    private static string Ratio(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);
}

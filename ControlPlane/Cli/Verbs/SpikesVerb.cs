using System.CommandLine;
using System.Globalization;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Spikes;
using DeepSeekOps.Recipes;
using DeepSeekOps.Recipes.Files;
using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops spikes FILE`: the rule that watches a run's loss, over a file of losses from anywhere. Needs no control plane.</summary>
internal static class SpikesVerb
{
    /// <summary>Ten million lines of three columns; more is another kind of file than a curve.</summary>
    private const int BytesMost = 512 << 20;

    private static readonly Column[] Found =
        [new("STEP", 1, Right: true), new("WHAT", 1), new("WHY", 1, Flexible: true)];

    public static Command Build(Terminal terminal)
    {
        var file = new Argument<string>("file") { Description = "Losses as text: step,loss or step,loss,grad_norm, one sample a line." };
        var policy = new Option<string>("--policy")
        {
            Description = "What is done about a loss that stays up.",
            DefaultValueFactory = _ => LossSpikes.NameOf(LossSpikePolicy.RollBack),
        };
        policy.AcceptOnlyFromAmong([.. LossSpikes.Policies.Select(p => p.Word)]);
        var command = new Command("spikes", "Finds spikes, divergences and NaN in a file of losses, and says what would be done.")
        {
            file, policy,
        };
        command.SetAction(async (parsed, _) =>
        {
            var losses = Read(parsed.GetValue(file)!);
            foreach (string note in losses.Notes)
            {
                await terminal.Error.WriteLineAsync($"note: {note}");
            }
            var report = SpikeReport.Of(
                losses.Samples.AsSpan(), LossSpikes.Policies.First(p => p.Word == parsed.GetValue(policy)).Policy);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(Json(report));
            }
            else
            {
                Tell(report, losses.Samples.Length, terminal);
            }
            return ExitCode.Ok;
        });
        return command;
    }

    private static LossFile Read(string path)
    {
        string text;
        try
        {
            text = NamedFile.ReadText(path, BytesMost);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or BadInputException)
        {
            throw new RefusalException(
                $"'{path}' cannot be read: {e.Message}", "Name a file of losses, one sample a line: step,loss.", cause: e);
        }
        var losses = LossFile.Parse(text);
        return losses.Problems.IsEmpty ? losses
            : throw new RefusalException(
                $"'{path}' is not a file of losses: {string.Join("; ", losses.Problems)}.", "Correct the lines named.");
    }

    private static string Json(SpikeReport report) => ProtoJson.Document(writer =>
    {
        writer.WriteStartObject();
        writer.WriteStartArray("alarms");
        foreach (var alarm in report.Alarms)
        {
            writer.WriteStartObject();
            writer.WriteNumber("step", alarm.Step);
            writer.WriteString("kind", NameOf(alarm.Kind));
            writer.WriteString("reason", alarm.Reason);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
        writer.WriteStartArray("actions");
        foreach (var action in report.Actions)
        {
            writer.WriteStartObject();
            writer.WriteNumber("step", action.Step);
            writer.WriteString("policy", action.Policy);
            writer.WriteString("reason", action.Reason);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
    });

    private static void Tell(SpikeReport report, int samples, Terminal terminal)
    {
        var ansi = terminal.Ansi();
        if (report.Alarms.IsEmpty)
        {
            ansi.MarkupLine($"No spike in {samples} samples.");
            return;
        }
        var rows = report.Alarms.Select(a => (a.Step, What: NameOf(a.Kind), a.Reason))
            .Concat(report.Actions.Select(a => (a.Step, What: $"{a.Policy} (action)", a.Reason)));
        Columns.Write(terminal, Found,
            [.. rows.Select(r => new[] { r.Step.ToString(CultureInfo.InvariantCulture), r.What, r.Reason })]);
        string kinds = string.Join(", ", report.Alarms.CountBy(a => a.Kind).Select(k => $"{k.Value} {NameOf(k.Key)}"));
        string acts = report.Actions.IsEmpty ? "nothing to do" : $"{report.Actions.Length} to act on";
        ansi.MarkupLine($"{samples} samples: {kinds}; {acts}.");
    }

    private static string NameOf(SpikeKind kind) => kind switch
    {
        SpikeKind.GradientSpike => "gradient-spike",
        _ => kind.ToString().ToLowerInvariant(),
    };
}

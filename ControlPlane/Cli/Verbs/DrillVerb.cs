using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions.Drills;
using DrillCard = DeepSeekOps.Contracts.Ops.V1.DrillCard;
using DrillTruth = DeepSeekOps.Contracts.Ops.V1.DrillTruth;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops drill RUN --fault F`: breaks something for real, waits for the recovery, and scores what was said of it.</summary>
internal static class DrillVerb
{
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(250);

    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var fault = new Option<string>("--fault")
        {
            Description = $"What is broken: {string.Join(", ", DrillFaults.Names)}.", HelpName = "FAULT", Required = true,
        };
        fault.AcceptOnlyFromAmong([.. DrillFaults.Names]);
        var seed = new Option<int>("--seed")
        {
            Description = "Chooses rank, node, moment and file, with what is there.", HelpName = "N", DefaultValueFactory = _ => 1,
        };
        var stage = new Option<string?>("--stage") { Description = "Default: the stage that trains.", HelpName = "NAME" };
        var within = new Option<int>("--within")
        {
            Description = "Seconds to wait for the recovery.", HelpName = "SECONDS", DefaultValueFactory = _ => 300,
        };
        within.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, CultureInfo.InvariantCulture, out int seconds)
                && seconds is < 1 or > 86_400)
            {
                result.AddError("--within must be between 1 and 86400 seconds.");
            }
        });
        var command = new Command("drill",
            "Breaks something of what a run trains on purpose, for real, waits until it is recovered, and scores what was said of it. "
            + "Only where the control plane was started with --drills.")
        {
            name, fault, seed, stage, within,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            var patience = TimeSpan.FromSeconds(parsed.GetValue(within));
            var truth = await Ask(parsed, new DrillRequest
            {
                Run = parsed.GetValue(name), Stage = parsed.GetValue(stage) ?? "", Fault = parsed.GetValue(fault),
                Seed = parsed.GetValue(seed),
            }, cancellation);
            if (DrillFaults.Parse(truth.Fault) is { } struck && struck.IsOutage())
            {
                truth = await OutageOf(parsed, patience).Strike(truth, cancellation);
            }

            if (!parsed.WantsJson())
            {
                string simulated = truth.Simulated ? "Simulated: " : "";
                Say(terminal, 0, $"{simulated}{truth.Run}/{truth.Stage} at step {Whole(truth.Step)}: {truth.What}");
            }

            using var connection = await VerbAction.Connect(parsed, cancellation);
            var card = await Wait(connection.Client, truth, patience, cancellation);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(card));
            }
            else
            {
                Write(terminal, card);
            }

            return card.Verified ? ExitCode.Ok : ExitCode.Failed;
        });
        return command;
    }

    private static async Task<DrillTruth> Ask(ParseResult parsed, DrillRequest request, CancellationToken cancellation)
    {
        using var connection = await VerbAction.Connect(parsed, cancellation);
        return await connection.Client.DrillAsync(request, ControlPlaneConnection.Options(cancellation));
    }

    private static DrillOutage OutageOf(ParseResult parsed, TimeSpan within) => parsed.GetValue(CommonOptions.Server) is { Length: > 0 }
        ? throw new RefusalException("A control plane is struck by the machine and user that it runs as, and --server names one elsewhere.",
            "Run the drill there, with --data-dir DIR.", ExitCode.Usage)
        : new DrillOutage(parsed.GetValue(CommonOptions.DataDirectory) ?? ControlFile.UsualDirectory,
            cancellation => VerbAction.Connect(parsed, cancellation), within);

    private static async Task<DrillCard> Wait(
        OpsService.OpsServiceClient client, DrillTruth truth, TimeSpan within, CancellationToken cancellation)
    {
        long began = TimeProvider.System.GetTimestamp();
        using var timer = new PeriodicTimer(AskEvery);
        while (true)
        {
            var card = await client.ScoreDrillAsync(truth, ControlPlaneConnection.Options(cancellation));
            if (card.Over || TimeProvider.System.GetElapsedTime(began) > within)
            {
                return card;
            }

            await timer.WaitForNextTickAsync(cancellation);
        }
    }

    private static void Write(Terminal terminal, DrillCard card)
    {
        Say(terminal, 2, $"detected   {(card.DetectedAfter is { } seen ? $"after {Words.Time(seen.ToTimeSpan())}" : "no")}");
        string named = card.NamedAfter is { } after ? $"'{card.Cause}' after {Words.Time(after.ToTimeSpan())}" : "no";
        Say(terminal, 2, $"named      {named}");
        Say(terminal, 2, $"grade      {Whole(card.Grade)} of 100: {card.Because}");
        string verified = card.Verified ? "yes, and verified" : card.Over ? $"no: {card.State}" : $"not within the time: {card.State}";
        Say(terminal, 2, $"recovered  {verified}");
        if (card.Phases.Count > 0)
        {
            Say(terminal, 2, $"phases     {string.Join(", ", card.Phases.Select(p => $"{p.Name} {Words.Time(p.Took.ToTimeSpan())}"))}");
        }

        if (card.HasStepsLost)
        {
            Say(terminal, 2, $"lost       {(card.StepsLost == 1 ? "1 step" : $"{Whole(card.StepsLost)} steps")} made again");
        }

        if (card.Incident > 0)
        {
            Say(terminal, 2, $"incident   {Whole(card.Incident)}: {card.Sentence}");
        }
    }

    private static void Say(Terminal terminal, int indent, string text)
    {
        string pad = new(' ', indent);
        string hanging = indent == 0 ? "" : new string(' ', indent + 11);
        bool first = true;
        foreach (string line in Columns.Wrap(Columns.Clean(text), Math.Max(20, terminal.Width - hanging.Length)))
        {
            terminal.Output.WriteLine((first ? pad : hanging) + line);
            first = false;
        }
    }

    private static string Whole(long number) => number.ToString(CultureInfo.InvariantCulture);
}

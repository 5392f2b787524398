using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>submit --watch: a bar for each stage while a person looks on; a line for each change where nobody does.</summary>
internal static class RunProgress
{
    private const int BarMinimum = 8;
    private const int BarMaximum = 40;

    public static async Task<int> Watch(Terminal terminal, ParseResult parsed, string name, CancellationToken cancellation)
    {
        Run? last = null;
        if (terminal.Interactive && !parsed.WantsJson())
        {
            await terminal.Ansi().Live(new Text("")).StartAsync(async live =>
                last = await UntilEnd(terminal, parsed, name, run => live.UpdateTarget(Bars(run, terminal.Width)), cancellation));
        }
        else
        {
            var said = new Dictionary<string, string>();
            last = await UntilEnd(terminal, parsed, name, run => SayChanges(terminal, run, said), cancellation);
        }
        if (last is null || !States.IsEnded(last.State))
        {
            throw new RefusalException($"The stream of {name} ended before the run did.", $"See `dsops show {name}`.",
                ExitCode.NotReachable);
        }
        terminal.Answer(parsed.WantsJson()).WriteLine(
            parsed.WantsJson() ? ProtoJson.Document(last) : Columns.Clean($"{last.Name} is {last.State}. {last.Reason}").TrimEnd());
        return last.State == "completed" ? ExitCode.Ok : ExitCode.RunFailed;
    }

    private static async Task<Run?> UntilEnd(Terminal terminal, ParseResult parsed, string name, Action<Run> show,
        CancellationToken cancellation)
    {
        Run? last = null;
        await Follow.Stream(
            parsed, terminal, client => client.WatchRun(new GetRunRequest { Name = name }, cancellationToken: cancellation),
            run =>
            {
                run.Pipeline = run.Pipeline.Length > 0 ? run.Pipeline : last?.Pipeline ?? "";
                last = run;
                show(run);
                return !States.IsEnded(run.State);
            },
            cancellation);
        return last;
    }

    public static IRenderable Bars(Run run, int width)
    {
        int names = run.Stages.Select(stage => stage.Name.Length).DefaultIfEmpty(0).Max();
        var lines = run.Stages.Select(stage => (IRenderable)new Text(Bar(stage, names, width), States.StyleOf(stage.State)));
        var current = RunsVerb.Current(run.Stages);
        string why = current is { Reason.Length: > 0 } ? current.Reason : run.Reason;
        return new Rows(lines.Append(new Text(Columns.Clean(why), new Style(decoration: Decoration.Dim))));
    }

    /// <summary>"pretrain  ████████░░░░  62 %  loss 2.312  1 min 3 s left", shorter if narrow.</summary>
    public static string Bar(Stage stage, int nameWidth, int width)
    {
        double share = stage.State == "completed" ? 1 : stage.TotalSteps > 0 ? Math.Clamp((double)stage.Step / stage.TotalSteps, 0, 1) : 0;
        string tail = stage.State switch
        {
            "running" => string.Concat(
                stage.HasLoss ? $"  loss {Words.Figure(stage.Loss)}" : "",
                stage.Remaining is { } left ? $"  {Words.Time(left.ToTimeSpan())} left" : ""),
            _ => "  " + stage.State,
        };
        string percent = $"{share * 100,4:0} %";
        int room = width - nameWidth - 2 - percent.Length - tail.Length;
        if (room < BarMinimum)
        {
            tail = "";
            room = width - nameWidth - 2 - percent.Length;
        }
        int length = Math.Clamp(room, BarMinimum, BarMaximum);
        int full = (int)Math.Floor(share * length);
        return $"{stage.Name.PadRight(nameWidth)}  {new string('█', full)}{new string('░', length - full)}{percent}{tail}";
    }

    private static void SayChanges(Terminal terminal, Run run, Dictionary<string, string> said)
    {
        foreach (var stage in run.Stages)
        {
            // A tenth of a stage is worth a line in a log; each step is not.
            long tenth = stage.TotalSteps > 0 ? stage.Step * 10 / stage.TotalSteps : 0;
            string now = $"{stage.State}/{stage.Attempt}/{tenth}";
            if (said.GetValueOrDefault(stage.Name) == now || (stage.State == "waiting" && !said.ContainsKey(stage.Name)))
            {
                continue;
            }
            said[stage.Name] = now;
            string loss = stage.HasLoss ? $", loss {Words.Figure(stage.Loss)}" : "";
            terminal.Error.WriteLine(
                Columns.Clean($"{stage.Name}: {stage.State}, step {Words.Steps(stage.Step, stage.TotalSteps)}{loss}. {stage.Reason}")
                    .TrimEnd());
        }
    }
}

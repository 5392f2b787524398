using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Recipes;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>
/// `dsops why RUN`: what went wrong with a run last. `dsops why --log FILE`: what ended a program, by the dictionary that the planners
/// decide by; that needs no control plane.
/// </summary>
internal static class WhyVerb
{
    public static Command Build(Terminal terminal)
    {
        var name = new Argument<string?>("run")
        {
            Description = "Name of a run: what went wrong with it last, and what was done.", Arity = ArgumentArity.ZeroOrOne,
        };
        var stage = new Option<string?>("--stage") { Description = "Of the run: only this stage.", HelpName = "NAME" };
        var number = new Option<int>("--incident")
        {
            Description = "Of the run: which incident of the stage. Default: the newest.", HelpName = "N",
        };
        var attempt = new Option<int>("--attempt")
        {
            Description = "Whose evidence. Default: of the first attempt that failed in it.", HelpName = "N",
        };
        var log = new Option<string?>("--log")
        {
            Description = "What the program printed; - reads standard input. Any program's, of one rank or of many mixed.",
            HelpName = "FILE",
        };
        var exit = new Option<int?>("--exit")
        {
            Description = "Its exit code: 0 to 255, or a signal as its negative (-9). Default: not known.",
            HelpName = "N",
        };
        var command = new Command("why",
            "Says what went wrong with a run: cause, evidence, what was decided and whether it was cured. With --log, why a program ended: "
            + "class, cause, fix, whether a retry can cure it, and the line that says so.")
        {
            name, stage, number, attempt, log, exit,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            if (parsed.GetValue(name) is { } run && parsed.GetValue(log) is null)
            {
                var asked = new GetIncidentRequest
                {
                    Run = run, Stage = parsed.GetValue(stage) ?? "", Number = parsed.GetValue(number), Attempt = parsed.GetValue(attempt),
                };
                return await OfRun(terminal, parsed, asked, cancellation);
            }

            if (parsed.GetValue(name) is not null || parsed.GetValue(log) is not { } path)
            {
                throw new RefusalException("Give the name of a run, or --log FILE, and not both.",
                    "`dsops why RUN` says what went wrong with a run; `dsops why --log FILE` says what ended a program.", ExitCode.Usage);
            }

            int? code = parsed.GetValue(exit);
            if (code is < -64 or > 255)
            {
                throw new RefusalException($"--exit is {code}; it must lie between -64 and 255.",
                    "Give the code as the shell or the launcher shows it, or leave it out.", ExitCode.Usage);
            }

            var (scan, left) = await Read(path, cancellation);
            var verdict = scan.Verdict(code);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(Json(verdict, code, left));
            }
            else
            {
                Tell(terminal, verdict, left);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task<int> OfRun(Terminal terminal, ParseResult parsed, GetIncidentRequest asked, CancellationToken cancellation)
    {
        using var connection = await VerbAction.Connect(parsed, cancellation);
        var options = ControlPlaneConnection.Options(cancellation);
        var any = await connection.Client.ListIncidentsAsync(new ListIncidentsRequest { Run = asked.Run, PageSize = 1 }, options);
        var report = any.Incidents.Count == 0 ? new IncidentReport { Simulated = any.Simulated }
            : await connection.Client.GetIncidentAsync(asked, options);
        if (parsed.WantsJson())
        {
            await terminal.Document.WriteLineAsync(ProtoJson.Document(report));
        }
        else if (report.Incident is null)
        {
            var run = await connection.Client.GetRunAsync(new GetRunRequest { Name = asked.Run }, options);
            string checks = string.Concat(run.Stages.Where(s => s.State == "checking").Select(s => $"; {s.Name} {s.Reason}"));
            await terminal.Output.WriteLineAsync(Columns.Clean($"{run.Name} has had no incident. It is {run.State}: {run.Reason}{checks}"));
        }
        else
        {
            IncidentText.Write(terminal, report);
        }

        return ExitCode.Ok;
    }

    private static async Task<(ExitScan Scan, long Left)> Read(string path, CancellationToken cancellation)
    {
        var scan = new ExitScan();
        try
        {
            if (path == "-")
            {
                await using var input = Console.OpenStandardInput();
                return (scan, await OutputFile.Read(input.ReadAsync, scan, cancellation));
            }

            using var file = await new FileLooks(TimeProvider.System).Run<NamedFile?>(() => NamedFile.Open(path), _ => null, cancellation)
                ?? throw new IOException(FileLooks.Silence(path).Message);
            return (scan, OutputFile.Read(file, scan, cancellation));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or BadInputException)
        {
            throw new RefusalException($"--log is '{path}', which cannot be read: {e.Message}",
                "Name a file, or give the output on standard input: `… | dsops why --log -`.", cause: e);
        }
    }

    private static string Json(ExitVerdict verdict, int? code, long left) => ProtoJson.Document(writer =>
    {
        var meaning = verdict.Meaning;
        writer.WriteStartObject();
        writer.WriteString("class", meaning.Id);
        writer.WriteString("cause", meaning.Cause);
        writer.WriteString("fix", meaning.Fix);
        writer.WriteBoolean("retryable", meaning.Retryable);
        writer.WriteString("retry", meaning.Retry.InWords());
        writer.WriteBoolean("sure", verdict.Sure);
        writer.WriteString("line", verdict.Line);
        writer.WriteNumber("lineNumber", verdict.LineNumber);
        writer.WriteString("rank", verdict.Rank);
        if (code is { } given)
        {
            writer.WriteNumber("exit", given);
        }

        writer.WriteNumber("bytesNotRead", left);
        writer.WriteEndObject();
    });

    private static void Tell(Terminal terminal, ExitVerdict verdict, long left)
    {
        var meaning = verdict.Meaning;
        Say($"{meaning.Id}: {meaning.Cause}");
        if (verdict.Line.Length > 0)
        {
            string rank = verdict.Rank.Length > 0 ? $" (rank {verdict.Rank})" : "";
            Say(string.Create(CultureInfo.InvariantCulture, $"  line {verdict.LineNumber}{rank}: {verdict.Line}"));
        }

        Say($"  fix: {meaning.Fix}");
        string doubt = verdict.Sure || meaning.Id == ExitClasses.Finished ? "" : " Nothing names the cause for certain.";
        Say($"  retry: {RetryWords(meaning.Retry)}{doubt}");
        if (left > 0)
        {
            Say(string.Create(CultureInfo.InvariantCulture, $"  {left:N0} bytes in the middle were not read."));
        }

        void Say(string text)
        {
            foreach (string line in Columns.Wrap(Columns.Clean(text), terminal.Width))
            {
                terminal.Output.WriteLine(line);
            }
        }
    }

    private static string RetryWords(Retry retry) => retry switch
    {
        Retry.Again => "it may end better.",
        Retry.AfterSteps => "only if steps were made before: then it goes on from the newest checkpoint.",
        Retry.OlderCheckpoint => "only from an older checkpoint.",
        Retry.Never => "it would end the same.",
        _ => throw new System.Diagnostics.UnreachableException($"retry {retry}"),
    };
}

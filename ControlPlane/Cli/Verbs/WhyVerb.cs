using System.CommandLine;
using System.Globalization;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Recipes;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops why --log FILE`: what ended a program, by the dictionary that the planners decide by. Needs no control plane.</summary>
internal static class WhyVerb
{
    public static Command Build(Terminal terminal)
    {
        var log = new Option<string>("--log")
        {
            Description = "What the program printed; - reads standard input. Any program's, of one rank or of many mixed.",
            HelpName = "FILE",
            Required = true,
        };
        var exit = new Option<int?>("--exit")
        {
            Description = "Its exit code: 0 to 255, or a signal as its negative (-9). Default: not known.",
            HelpName = "N",
        };
        var command = new Command("why",
            "Says why a program ended: class, cause, fix, whether a retry can cure it, and the line that says so.")
        {
            log, exit,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            int? code = parsed.GetValue(exit);
            if (code is < -64 or > 255)
            {
                throw new RefusalException($"--exit is {code}; it must lie between -64 and 255.",
                    "Give the code as the shell or the launcher shows it, or leave it out.", ExitCode.Usage);
            }

            var (scan, left) = await Read(parsed.GetValue(log)!, cancellation);
            var verdict = scan.Verdict(code);
            if (parsed.WantsJson())
            {
                await terminal.Output.WriteLineAsync(Json(verdict, code, left));
            }
            else
            {
                Tell(terminal, verdict, left);
            }

            return ExitCode.Ok;
        });
        return command;
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

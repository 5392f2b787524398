using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops audit [RUN]`: who did what; `dsops audit verify`: whether the log is as it was written.</summary>
internal static class AuditVerb
{
    private const int PageSize = 1_000;

    /// <summary>What a person reads; --since and --json take all there is.</summary>
    private const int LinesUsual = 100;

    /// <summary>Of a hash: what fits a note, and still 64 bits.</summary>
    private const int HashNoted = 16;

    /// <summary>A log of a million lines is read in some ten seconds.</summary>
    private static readonly TimeSpan VerifyWithin = TimeSpan.FromMinutes(10);

    private static readonly Column[] Table =
    [
        new("NO", 2, Right: true), new("WHEN", 3), new("WHO", 1), new("ACT", 1), new("TARGET", 1), new("OUTCOME", 2), new("FROM", 4),
        new("WHY", 3, Flexible: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var name = new Argument<string?>("run") { Description = "Name of the run. Default: everything.", Arity = ArgumentArity.ZeroOrOne };
        var since = new Option<TimeSpan?>("--since")
        {
            Description = "All of so long until now: 24h, 90m, 7d. Default: the newest hundred.", HelpName = "TIME",
            CustomParser = result => IncidentsVerb.ParseSpan(result, "--since"),
        };
        var command = new Command("audit",
            "Lists who did what, oldest first: what people asked for by the command line, pages and kubectl, what the system did by "
            + "itself, and what was refused. Each line is chained to the one before it.")
        {
            name, since, Verify(terminal),
        };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var lines = await Read(client, parsed.GetValue(name) ?? "", parsed.GetValue(since), parsed.WantsJson(), cancellation);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(lines));
            }
            else if (lines.Count == 0)
            {
                await terminal.Output.WriteLineAsync("No act was written down.");
            }
            else
            {
                Columns.Write(terminal, Table, [.. lines.Select(Row)]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>"12:5f3a9c0011223344", as verify prints it.</summary>
    internal static VerifyAuditRequest RequestOf(string? anchor)
    {
        if (anchor is null)
        {
            return new VerifyAuditRequest();
        }

        return anchor.Split(':') is [var number, { Length: > 0 } hash]
            && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out long line) && line > 0
            ? new VerifyAuditRequest { Anchor = line, AnchorHash = hash }
            : throw new RefusalException($"--anchor is '{anchor}', which is no line with its hash.",
                "Write NUMBER:HASH, as an earlier `dsops audit verify` printed it.", ExitCode.Usage);
    }

    /// <summary>Without how a line was found, a table would tell less than the run's page.</summary>
    private static string[] Row(AuditLine line) =>
    [
        line.Number.ToString(CultureInfo.InvariantCulture),
        Words.Clock(line.At.ToDateTimeOffset(), TimeProvider.System.GetUtcNow()), line.Who, line.Act,
        line.Target.Length > 0 ? line.Target : "-", line.Outcome.Split(':')[0], line.From.Length > 0 ? line.From : "-", Why(line),
    ];

    /// <summary>The reason that was given, and why it was refused.</summary>
    private static string Why(AuditLine line)
    {
        int colon = line.Outcome.IndexOf(':', StringComparison.Ordinal);
        string[] parts = [line.Why, colon < 0 ? "" : line.Outcome[(colon + 1)..].Trim()];
        string all = string.Join("; refused: ", parts.Where(p => p.Length > 0));
        return all.Length > 0 ? all : "-";
    }

    private static async Task<List<AuditLine>> Read(
        OpsService.OpsServiceClient client, string run, TimeSpan? since, bool json, CancellationToken cancellation)
    {
        bool all = json || since is not null;
        var request = new ListAuditRequest { Run = run, PageSize = all ? PageSize : LinesUsual };
        if (since is { } span)
        {
            request.Since = Timestamp.FromDateTimeOffset(TimeProvider.System.GetUtcNow() - span);
        }

        var lines = new List<AuditLine>();
        while (true)
        {
            var page = await client.ListAuditAsync(request, ControlPlaneConnection.Options(cancellation));
            lines.AddRange(page.Lines);
            if (!all || !page.More || page.Lines.Count == 0)
            {
                lines.Reverse();
                return lines;
            }

            request.Before = page.Lines[^1].Number;
        }
    }

    private static Command Verify(Terminal terminal)
    {
        var anchor = new Option<string?>("--anchor")
        {
            Description = "A line that was noted earlier, with its hash: it has to be there still.", HelpName = "NUMBER:HASH",
        };
        var command = new Command("verify",
            "Reads the whole log and names each line that was changed, taken away, put in or moved; exit code 1 if there is one. Note the "
            + "last line that it prints somewhere else: with --anchor it also finds a log that was put back to an earlier state.")
        {
            anchor,
        };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var options = ControlPlaneConnection.Options(cancellation)
                .WithDeadline(TimeProvider.System.GetUtcNow().UtcDateTime + VerifyWithin);
            var reply = await client.VerifyAuditAsync(RequestOf(parsed.GetValue(anchor)), options);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(reply));
            }
            else
            {
                foreach (string line in InWords(reply))
                {
                    await terminal.Answer(json: false).WriteLineAsync(Columns.Clean(line));
                }
            }

            return reply.Found == 0 ? ExitCode.Ok : ExitCode.Failed;
        });
        return command;
    }

    internal static IEnumerable<string> InWords(VerifyAuditReply reply)
    {
        foreach (var finding in reply.Findings)
        {
            yield return $"{char.ToUpperInvariant(finding.Words[0])}{finding.Words[1..]}.";
        }

        if (reply.Found > reply.Findings.Count)
        {
            yield return FormattableString.Invariant($"There are {reply.Found:N0} findings; these are the first of them.");
        }

        if (reply.OtherKeys > 0)
        {
            yield return FormattableString.Invariant(
                $"{reply.OtherKeys:N0} lines were sealed with a key that is not here any more: of them only the chain was checked.");
        }

        yield return reply.Found > 0
            ? FormattableString.Invariant($"{reply.Lines:N0} lines were read, and the log is not as it was written.")
            : FormattableString.Invariant($"{reply.Lines:N0} lines, each as it was written.");
        if (reply.Newest > 0)
        {
            yield return FormattableString.Invariant($"Newest: --anchor {reply.Newest}:{reply.NewestHash[..HashNoted]}");
        }
    }
}

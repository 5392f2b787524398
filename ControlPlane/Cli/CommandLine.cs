using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Asking;
using DeepSeekOps.ControlPlane.Cli.Completing;
using DeepSeekOps.ControlPlane.Cli.Mcp;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>The handle: `dsops VERB …`. Each verb but dev, serve, doctor, backup and restore is a client of the Api.</summary>
public static class CommandLine
{
    /// <summary>These ask no control plane, and would pass over one that is named.</summary>
    internal static readonly string[] WithoutServer =
    [
        "dev", "serve", "doctor", "backup", "restore", "schema", "url", "completion", "simulate", "spikes", "mfu", "data", "model",
        "generate",
    ];

    public static async Task<int> Run(string[] args, Terminal terminal, CancellationToken cancellation)
    {
        terminal = terminal.Plain();
        var root = Build(terminal);
        var parsed = root.Parse(args);
        // A line that a shell wants to complete is no line yet.
        bool completing = args is [var first, ..] && first.StartsWith("[suggest", StringComparison.Ordinal);
        if (!completing && (parsed.Errors.Count > 0 || UnknownOption(parsed) is not null || WithoutValue(root, parsed) is not null
            || EmptyPath(root, parsed) is not null || NoUseOfServer(parsed) is not null))
        {
            string verb = parsed.CommandResult.Command == root ? "dsops" : $"dsops {parsed.CommandResult.Command.Name}";
            Report(terminal, args.Contains(CommonOptions.Json.Name), WrongUse(root, parsed, verb));
            return ExitCode.Usage;
        }

        var configuration = new InvocationConfiguration
        {
            Output = terminal.Output,
            Error = terminal.Error,
            EnableDefaultExceptionHandler = false,
            // Verbs end by the token; dev takes longer than a parser's patience to stop its agents.
            ProcessTerminationTimeout = null,
        };
        try
        {
            return await parsed.InvokeAsync(configuration, cancellation);
        }
        catch (RefusalException failure)
        {
            Report(terminal, parsed.GetValue(CommonOptions.Json), failure);
            return failure.Code;
        }
        catch (RpcException e) when (!(e.StatusCode == StatusCode.Cancelled && cancellation.IsCancellationRequested))
        {
            var failure = RpcFailure.From(e);
            Report(terminal, parsed.GetValue(CommonOptions.Json), failure);
            return failure.Code;
        }
        catch (Exception e) when (e is OperationCanceledException or RpcException && cancellation.IsCancellationRequested)
        {
            return ExitCode.Interrupted;
        }
    }

    public static RootCommand Build(Terminal terminal)
    {
        var root = new RootCommand("DeepSeekOps: runs DeepSeek-V3-style training pipelines and brings them back when something breaks.")
        {
            CommonOptions.DataDirectory, CommonOptions.Server, CommonOptions.Ca, CommonOptions.Json,
            HostVerbs.Dev(terminal), HostVerbs.Serve(terminal), DoctorVerb.Build(terminal), BackupVerbs.Backup(terminal),
            BackupVerbs.Restore(terminal),
            SubmitVerb.Build(terminal),
            RunsVerb.Build(terminal), TopVerb.Build(terminal),
            ShowVerb.Build(terminal), CompareVerb.Build(terminal), EventsVerb.Build(terminal), LogsVerb.Build(terminal),
            AskVerb.Build(terminal), McpVerb.Build(terminal),
            WhyVerb.Build(terminal), IncidentsVerb.Build(terminal), CostVerb.Build(terminal), DrillVerb.Build(terminal),
            NotifyVerb.Build(terminal), AuditVerb.Build(terminal), TokensVerb.Build(terminal),
            RunCommandVerbs.Build(terminal, "pause", "Saves a checkpoint, ends the workers and holds the run.",
                (client, command, options) => client.PauseRunAsync(command, options), "paused"),
            RunCommandVerbs.Build(terminal, "resume", "Goes on with a paused run from its newest checkpoint.",
                (client, command, options) => client.ResumeRunAsync(command, options), "resumed"),
            RunCommandVerbs.Build(terminal, "cancel", "Ends a run for good; its checkpoints stay.",
                (client, command, options) => client.CancelRunAsync(command, options), "cancelled"),
            RetryVerb.Build(terminal), CloneVerb.Build(terminal), CheckpointsVerb.Build(terminal),
            ExpertsVerb.Build(terminal), TraceVerb.Build(terminal), ExportVerb.Build(terminal), RunFiles.Import(terminal),
            ClusterVerb.Build(terminal), QueueVerb.Build(terminal),
            InfoVerbs.Schema(terminal), InfoVerbs.Version(terminal), UrlVerb.Build(terminal), CompletionVerb.Build(terminal),
            PlanVerb.Build(terminal), SimulateVerb.Build(terminal), SpikesVerb.Build(terminal), MfuVerb.Build(terminal),
            WorkerVerbs.Data(terminal), WorkerVerbs.Model(terminal), WorkerVerbs.Generate(terminal),
        };
        Examples.AddTo(root, terminal);
        RunNames.AddTo(root);
        return root;
    }

    /// <summary>A verb that does not exist is named, with the one that was probably meant.</summary>
    private static RefusalException WrongUse(RootCommand root, ParseResult parsed, string verb)
    {
        if (WithoutValue(root, parsed) is { } swallowed)
        {
            return new RefusalException(swallowed, $"See `{verb} --help`.", ExitCode.Usage);
        }
        if (EmptyPath(root, parsed) is { } empty)
        {
            return new RefusalException(empty, "Write a path there; in a script, look at the variable that it comes from.", ExitCode.Usage);
        }
        if (NoUseOfServer(parsed) is { } useless)
        {
            return useless;
        }
        if (UnknownOption(parsed) is { } written)
        {
            string? meant = Nearest.To(written, OptionsOf(root, parsed)).FirstOrDefault();
            return new RefusalException($"{verb} has no option '{written}'.",
                $"{(meant is null ? "" : $"Did you mean {meant}? ")}See `{verb} --help`.", ExitCode.Usage);
        }
        if (parsed.CommandResult.Command != root || parsed.UnmatchedTokens.Count == 0)
        {
            return new RefusalException(
                TooFew(parsed) is { } few ? $"{verb} {few}" : WrongValue(parsed.Errors[0]), $"See `{verb} --help`.", ExitCode.Usage);
        }
        string word = parsed.UnmatchedTokens[0];
        string? near = Nearest.To(word, root.Subcommands.Select(command => command.Name)).FirstOrDefault();
        return new RefusalException(
            $"'{word}' is not a verb of dsops.", near is null ? "See `dsops --help`." : $"Did you mean `dsops {near}`? See `dsops --help`.",
            ExitCode.Usage);
    }

    private static string[] OptionsOf(RootCommand root, ParseResult parsed) =>
        [.. parsed.CommandResult.Command.Options.Concat(root.Options.Where(o => o.Recursive)).Select(o => o.Name)];

    /// <summary>The parser takes the next option for the value that is missing: `--stage --json` asked for the stage "--json".</summary>
    private static string? WithoutValue(RootCommand root, ParseResult parsed)
    {
        string[] options = OptionsOf(root, parsed);
        return parsed.CommandResult.Children.OfType<OptionResult>().Where(option => !option.Implicit)
            .SelectMany(option => option.Tokens.Where(token => options.Contains(token.Value))
                .Select(token => $"{option.Option.Name} has no value: {token.Value} follows it."))
            .FirstOrDefault();
    }

    /// <summary>What a shell makes of "$FOLDER" that was never set: no path, and not the folder that somebody stands in either.</summary>
    private static string? EmptyPath(RootCommand root, ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var options = command.Options.Concat(root.Options.Where(o => o.Recursive)).Where(o => o.HelpName is "FILE" or "DIR")
            .Where(o => parsed.GetResult(o)?.Tokens.Any(token => token.Value.Length == 0) is true).Select(o => o.Name);
        var arguments = command.Arguments.Where(a => a.Name is "file" or "files" or "folder")
            .Where(a => parsed.GetResult(a)?.Tokens.Any(token => token.Value.Length == 0) is true).Select(a => $"<{a.Name}>");
        return options.Concat(arguments).FirstOrDefault() is { } name ? $"{name} is empty." : null;
    }

    /// <summary>`dsops backup --server URL` made a backup of what is here, and nobody was told. In the environment it may stand.</summary>
    private static RefusalException? NoUseOfServer(ParseResult parsed)
    {
        var verb = parsed.CommandResult;
        while (verb.Parent is CommandResult { Parent: not null } above)
        {
            verb = above;
        }
        if (!WithoutServer.Contains(verb.Command.Name))
        {
            return null;
        }
        return new Option[] { CommonOptions.Server, CommonOptions.Ca }
            .Where(option => parsed.GetResult(option) is { Implicit: false })
            .Select(option => new RefusalException(
                $"{option.Name} is '{string.Join(' ', parsed.GetResult(option)?.Tokens.Select(t => t.Value) ?? [])}', and "
                + $"`dsops {verb.Command.Name}` asks no control plane: it works on this machine.",
                verb.Command.Options.Any(o => o.Name == "--database-file")
                    ? $"Leave {option.Name} out, and name what it works on where that can be reached: --data-dir DIR, or --database-file "
                        + "FILE for PostgreSQL." : $"Leave {option.Name} out.", ExitCode.Usage))
            .FirstOrDefault();
    }

    /// <summary>
    /// What looks like an option and is none. The parser takes one for a run's name or for words to search, where a verb has such an
    /// argument; after a -- everything is one.
    /// </summary>
    private static string? UnknownOption(ParseResult parsed)
    {
        if (!parsed.CommandResult.Command.TreatUnmatchedTokensAsErrors || parsed.Tokens.Any(token => token.Type == TokenType.DoubleDash))
        {
            return null;
        }
        return parsed.CommandResult.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens).Select(token => token.Value)
            .Concat(parsed.UnmatchedTokens).FirstOrDefault(word => word.StartsWith("--", StringComparison.Ordinal) && word.Length > 2);
    }

    /// <summary>Where one name is no use, the parser says that an argument is missing, and not how many there must be.</summary>
    private static string? TooFew(ParseResult parsed) => parsed.CommandResult.Command.Arguments
        .Where(argument => argument.Arity.MinimumNumberOfValues > 1
            && (parsed.GetResult(argument)?.Tokens.Count ?? 0) < argument.Arity.MinimumNumberOfValues)
        .Select(argument => $"takes {argument.Arity.MinimumNumberOfValues} {argument.Name} or more; "
            + $"{parsed.GetResult(argument)?.Tokens.Count ?? 0} given.").FirstOrDefault();

    /// <summary>The parser speaks of .NET's types and in several lines; people are told the option, the value and what it takes.</summary>
    private static string WrongValue(ParseError error)
    {
        string message = string.Join(' ', error.Message.Split(['\r', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries))
            .Replace("' '", "', '", StringComparison.Ordinal);
        if ((error.SymbolResult as OptionResult ?? error.SymbolResult?.Parent)
            is not OptionResult { Option: var option, Tokens: [var token, ..] })
        {
            return message;
        }
        var type = Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType;
        return type == typeof(int) && !int.TryParse(token.Value, CultureInfo.InvariantCulture, out _)
            ? $"{option.Name} is '{token.Value}'; it takes a whole number between {int.MinValue} and {int.MaxValue}."
            : type == typeof(long) && !long.TryParse(token.Value, CultureInfo.InvariantCulture, out _)
            ? $"{option.Name} is '{token.Value}'; it takes a whole number."
            : type == typeof(double) && !double.TryParse(token.Value, CultureInfo.InvariantCulture, out _)
                ? $"{option.Name} is '{token.Value}'; it takes a number."
                : message.Contains(option.Name, StringComparison.Ordinal) ? message : $"{option.Name}: {message}";
    }

    private static void Report(Terminal terminal, bool json, RefusalException failure)
    {
        if (json)
        {
            terminal.ErrorDocument.WriteLine(ProtoJson.Document(writer =>
            {
                writer.WriteStartObject();
                writer.WriteStartObject("error");
                writer.WriteString("message", failure.Message);
                writer.WriteString("fix", failure.Fix);
                writer.WriteNumber("exitCode", failure.Code);
                if (failure.Problems.Count > 0)
                {
                    writer.WriteStartArray("problems");
                    failure.Problems.ToList().ForEach(problem => ProtoJson.Write(writer, problem));
                    writer.WriteEndArray();
                }
                writer.WriteEndObject();
                writer.WriteEndObject();
            }));
        }
        else
        {
            // Some come from decisions, which end no reason with a full stop, since it may go on.
            string end = failure.Message is [.., var last] && (char.IsLetterOrDigit(last) || last is ')' or '\'' or '`') ? "." : "";
            terminal.Error.WriteLine($"error: {failure.Message}{end}");
            if (failure.Fix.Length > 0)
            {
                terminal.Error.WriteLine($"  fix: {failure.Fix}");
            }
        }
        if (Environment.GetEnvironmentVariable("DSOPS_DEBUG") == "1")
        {
            terminal.Error.WriteLine(failure.InnerException ?? failure);
        }
    }
}

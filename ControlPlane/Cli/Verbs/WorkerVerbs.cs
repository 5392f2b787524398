using System.CommandLine;
using System.Diagnostics;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>
/// Verbs that need libtorch are the worker program's: what it prints comes to this terminal cleaned, since a model may say anything and a
/// folder of weights have any names, and its exit code is ours. Where its output goes into a file or a program, it goes there as it is.
/// </summary>
internal static class WorkerVerbs
{
    public static Command Model(Terminal terminal) => Delegate(
        terminal, "model", "Looks into a model folder: `model params DIR` counts, `model check DIR` verifies.",
        new Option<string?>("--parallel")
        {
            Description = "check: computed by a gang of rank processes on this machine, as dp=2,ep=4,pp=2,cp=2,nodes=2,schedule=dualpipev.",
            HelpName = "LAYOUT",
        });

    public static Command Generate(Terminal terminal)
    {
        var checkpoint = new Argument<string>("checkpoint")
        {
            Description = "A folder, or run/stage (its newest checkpoint), or run/stage/step of the data directory.",
        };
        var prompt = new Option<string>("--prompt") { Description = "What the model is to continue.", Required = true, HelpName = "TEXT" };
        var chat = new Option<bool>("--chat") { Description = "Ask it as a question, in the form that fine-tuning taught." };
        var speculation = new Option<bool>("--no-speculation")
        {
            Description = "Take one token per forward pass, also where the checkpoint has an MTP module to guess by.",
        };
        var average = new Option<bool>("--ema")
        {
            Description = "With the moving average of the weights, where pretraining kept one (ema).",
        };
        Option<string?>[] passed =
        [
            new("--max-tokens") { Description = "Maximum tokens to generate (default 64).", HelpName = "N" },
            new("--temperature")
            {
                Description = "Default 0: greedy, the likeliest token each time; 1: the model's own distribution.",
                HelpName = "T",
            },
            new("--seed") { Description = "The same seed gives the same text (default 0).", HelpName = "N" },
            new("--tokenizer") { Description = "byte, or a tokenizer.json, where the checkpoint brings none.", HelpName = "NAME" },
            new("--device") { Description = "cpu, cuda, cuda:N or auto.", HelpName = "DEVICE" },
        ];
        var command = new Command("generate", "Continues a prompt by a checkpoint, on this machine.") { checkpoint, prompt, chat,
            speculation, average };
        Array.ForEach(passed, command.Add);
        command.SetAction((parsed, _) => Start(terminal,
        [
            "generate", parsed.GetRequiredValue(checkpoint), "--prompt", parsed.GetRequiredValue(prompt),
            "--data-dir", parsed.GetRequiredValue(CommonOptions.DataDirectory),
            .. passed.SelectMany(option => parsed.GetValue(option) is { } value ? new[] { option.Name, value } : []),
            .. parsed.GetValue(chat) ? ["--chat"] : Array.Empty<string>(),
            .. parsed.GetValue(speculation) ? ["--no-speculation"] : Array.Empty<string>(),
            .. parsed.GetValue(average) ? ["--ema"] : Array.Empty<string>(),
            .. Json(parsed),
        ]));
        return command;
    }

    public static Command Data(Terminal terminal)
    {
        var sources = new Argument<string[]>("sources")
        {
            Description = ".jsonl, .txt or .parquet files, or folders of such; each is a source.", Arity = ArgumentArity.OneOrMore,
        };
        var weights = new Option<string[]>("--weight")
        {
            Description = "Times that an epoch reads a source, as web.jsonl=0.5 or books=2; otherwise 1.", HelpName = "SOURCE=W",
        };
        Option<string?>[] passed =
        [
            new("--out") { Description = "The folder to make, or to go on with.", HelpName = "DIR", Required = true },
            new("--tokenizer") { Description = "byte (default), or a Hugging Face tokenizer.json.", HelpName = "NAME" },
            new("--workers") { Description = "Threads (default: one for each core).", HelpName = "N" },
            new("--share")
            {
                Description = "Makes one part in N, so that several machines can prepare one set: 1/4, 2/4 and so on.", HelpName = "K/N",
            },
        ];
        var prepare = new Command("prepare", "Makes shards of token ids from texts, for any size; run again, it goes on.")
        {
            sources, weights,
        };
        Array.ForEach(passed, prepare.Add);
        prepare.SetAction((parsed, _) => Start(terminal,
        [
            "data", "prepare", .. parsed.GetRequiredValue(sources),
            .. passed.SelectMany(option => parsed.GetValue(option) is { } value ? new[] { option.Name, value } : []),
            .. (parsed.GetValue(weights) ?? []).SelectMany(weight => new[] { weights.Name, weight }), .. Json(parsed),
        ]));
        var folder = new Argument<string>("folder") { Description = "A folder that `data prepare` made." };
        var check = new Command("check", "Reads every shard and compares it with its hash.") { folder };
        check.SetAction((parsed, _) => Start(terminal, ["data", "check", parsed.GetRequiredValue(folder), .. Json(parsed)]));
        return new Command("data", "Prepares texts for training, and checks what was prepared.") { prepare, check };
    }

    private static Command Delegate(Terminal terminal, string verb, string description, params Option<string?>[] options)
    {
        var arguments = new Argument<string[]>("arguments")
        {
            Description = "As the worker program takes them.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var command = new Command(verb, description) { arguments };
        Array.ForEach(options, command.Add);
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((parsed, _) => Start(terminal,
        [
            verb, .. parsed.GetValue(arguments) ?? [],
            .. options.SelectMany(o => parsed.GetValue(o) is { } value ? new[] { o.Name, value } : []),
            .. parsed.UnmatchedTokens, .. Json(parsed),
        ]));
        return command;
    }

    private static string[] Json(ParseResult parsed) => parsed.GetValue(CommonOptions.Json) ? ["--json"] : [];

    private static async Task<int> Start(Terminal terminal, string[] arguments)
    {
        string[] words = [.. WorkerProgram.Command(Found()), .. arguments];
        var start = new ProcessStartInfo(words[0], words[1..])
        {
            RedirectStandardOutput = terminal.Interactive, RedirectStandardError = true,
        };
        using var process = Process.Start(start) ?? throw new RefusalException("`dotnet` did not start.", "Check that it is on the PATH.");
        // Ctrl-C reaches the worker by the terminal; it ends by itself.
        await Task.WhenAll(
            arguments.Contains(CommonOptions.Json.Name) ? PlainWriter.Copy(process.StandardError, terminal.Error)
                : Sentences(process.StandardError, terminal.Error),
            terminal.Interactive ? PlainWriter.Copy(process.StandardOutput, terminal.Output) : Task.CompletedTask);
        await process.WaitForExitAsync(CancellationToken.None);
        return process.ExitCode;
    }

    private static async Task Sentences(StreamReader from, TextWriter to)
    {
        while (await from.ReadLineAsync(CancellationToken.None) is { } line)
        {
            await to.WriteLineAsync(line);
        }
    }

    private static string Found()
    {
        try
        {
            return WorkerProgram.Find(AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.Variable));
        }
        catch (FileNotFoundException e)
        {
            throw new RefusalException("The worker program is missing.", e.Message, ExitCode.Failed, e);
        }
    }
}

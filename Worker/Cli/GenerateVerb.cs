using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Sampling;

namespace DeepSeekOps.Worker.Cli;

/// <summary>`dsops-worker generate …`: exit 0 ok, 1 failed, 2 usage.</summary>
internal static class GenerateVerb
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public static int Run(string[] args, TextWriter output, TextWriter errors)
    {
        if (GenerateOptions.Parse(args, out var problem) is not { } options)
        {
            errors.WriteLine(problem);
            errors.WriteLine("""
                Usage: dsops-worker generate CHECKPOINT --prompt TEXT [--chat] [--max-tokens N] [--temperature T] [--seed N] [--no-speculation]
                                             [--ema] [--tokenizer byte|tokenizer.json] [--device cpu|cuda[:N]|auto] [--data-dir DIR] [--json]
                       dsops-worker generate --stream        prompts as lines of JSON on stdin, text as lines of JSON on stdout
                """);
            return 2;
        }

        try
        {
            Generate(options, TimeProvider.System, output, errors);
            return 0;
        }
        catch (Exception e) when (IsRefusal(e))
        {
            errors.WriteLine(e.Message);
            return 1;
        }
    }

    /// <summary>What a checkpoint, a prompt or this machine can be wrong about; the message says it in words.</summary>
    public static bool IsRefusal(Exception e) => e is BadInputException or RefusedCheckpointException or InvalidDataException or IOException
        or UnauthorizedAccessException or DllNotFoundException or ExternalException;

    private static void Generate(GenerateOptions options, TimeProvider clock, TextWriter output, TextWriter errors)
    {
        using var checkpoint = SpeakingCheckpoint.Open(
            CheckpointName.Find(options.Checkpoint, options.DataDirectory), digest: "", options.Tokenizer, options.Average);
        var prompt = checkpoint.Tokens(options.Prompt, options.Chat, options.MaxTokens);
        var sampler = new SpeculativeSampler(checkpoint.Model(options.Device), options.Temperature, options.Seed, options.Speculate);
        var (text, given) = (new SettledText(checkpoint.Tokenizer), 0);
        void Show(Continuation said)
        {
            if (!options.Json)
            {
                output.Write(text.Add(said.Ids.Skip(given)));
                output.Flush();
                given = said.Ids.Count;
            }
        }

        var began = clock.GetTimestamp();
        var said = sampler.Continue(prompt, options.MaxTokens, checkpoint.Tokenizer.Special.Eos, CancellationToken.None, Show);
        var seconds = clock.GetElapsedTime(began).TotalSeconds;
        if (options.Json)
        {
            WriteJson(said, checkpoint.Tokenizer.Decode([.. said.Ids]), prompt.Length, seconds, output);
            return;
        }

        Show(said);
        output.WriteLine(text.Rest());
        errors.WriteLine(Figures(said, seconds));
    }

    private static void WriteJson(Continuation said, string text, int promptTokens, double seconds, TextWriter output) =>
        output.WriteLine(JsonSerializer.Serialize(
            new
            {
                text, tokens = said.Ids, promptTokens, seconds, tokensPerSecond = said.Ids.Count / seconds, mainModelPasses = said.Passes,
                guessed = said.Guessed, kept = said.Kept, acceptanceRate = Acceptance(said),
            },
            Json));

    private static string Figures(Continuation said, double seconds)
    {
        var guesses = Acceptance(said) is { } share
            ? string.Create(CultureInfo.InvariantCulture, $"; {said.Kept} of {said.Guessed} guesses kept ({share:P0})")
            : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{said.Ids.Count} tokens in {seconds:0.00} s, {said.Ids.Count / seconds:0} tokens/s, {said.Passes} passes{guesses}");
    }

    private static double? Acceptance(Continuation said) => said.Guessed == 0 ? null : (double)said.Kept / said.Guessed;
}

using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Training;

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
                                             [--tokenizer byte|tokenizer.json] [--device cpu|cuda[:N]|auto] [--data-dir DIR] [--json]
                """);
            return 2;
        }

        try
        {
            Generate(options, TimeProvider.System, output, errors);
            return 0;
        }
        catch (Exception e) when (e is CheckpointFormatException or RefusedCheckpointException or InvalidDataException or IOException
            or UnauthorizedAccessException or DllNotFoundException)
        {
            errors.WriteLine(e.Message);
            return 1;
        }
    }

    private static void Generate(GenerateOptions options, TimeProvider clock, TextWriter output, TextWriter errors)
    {
        var folder = CheckpointName.Find(options.Checkpoint, options.DataDirectory);
        var ours = File.Exists(Path.Combine(folder, Manifest.FileName));
        if (ours)
        {
            Manifest.Verify(folder, digest: "");
        }

        var tokenizer = TokenizerOf(folder, options.Tokenizer, ours);
        int[] prompt = options.Chat ? ChatTemplate.Prompt(options.Prompt, tokenizer) : [tokenizer.Special.Bos, .. tokenizer.Encode(options.Prompt)];
        var shape = ConfigJson.Read(Path.Combine(folder, ConfigJson.FileName));
        if (prompt.Length + options.MaxTokens > shape.ContextLength)
        {
            throw new InvalidDataException($"The prompt has {prompt.Length} tokens and --max-tokens is {options.MaxTokens}: together more than the "
                + $"{shape.ContextLength} places of this model. Shorten the prompt or lower --max-tokens.");
        }

        if (prompt.Any(id => id >= shape.VocabSize))
        {
            throw new InvalidDataException(
                $"The tokenizer knows {tokenizer.VocabSize} tokens and the model {shape.VocabSize}: name the model's own with --tokenizer.");
        }

        LibtorchLoading.Require();
        using var model = ModelFolder.Load(folder, ComputeDevice.Choose(options.Device));
        var began = clock.GetTimestamp();
        var said = new SpeculativeSampler(model, options.Temperature, options.Seed, options.Speculate)
            .Continue(prompt, options.MaxTokens, tokenizer.Special.Eos, CancellationToken.None);
        Write(said, tokenizer.Decode([.. said.Ids]), prompt.Length, clock.GetElapsedTime(began).TotalSeconds, options.Json, output, errors);
    }

    private static void Write(Continuation said, string text, int promptTokens, double seconds, bool json, TextWriter output, TextWriter errors)
    {
        double? acceptance = said.Guessed == 0 ? null : (double)said.Kept / said.Guessed;
        var rate = said.Ids.Count / seconds;
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(
                new
                {
                    text, tokens = said.Ids, promptTokens, seconds, tokensPerSecond = rate, mainModelPasses = said.Passes,
                    guessed = said.Guessed, kept = said.Kept, acceptanceRate = acceptance,
                },
                Json));
            return;
        }

        output.WriteLine(text);
        var guesses = acceptance is { } share
            ? string.Create(CultureInfo.InvariantCulture, $"; {said.Kept} of {said.Guessed} guesses kept ({share:P0})")
            : "";
        errors.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{said.Ids.Count} tokens in {seconds:0.00} s, {rate:0} tokens/s, {said.Passes} passes{guesses}"));
    }

    /// <summary>A checkpoint of ours without a tokenizer.json was trained on bytes; of others nothing is known.</summary>
    private static ITokenizer TokenizerOf(string folder, string? named, bool ours)
    {
        var beside = Path.Combine(folder, Tokenizers.FileName);
        return named is not null ? Tokenizers.Open(named)
            : File.Exists(beside) ? Tokenizers.Open(beside)
            : ours ? Tokenizers.Open("byte")
            : throw new CheckpointFormatException($"{folder} brings no {Tokenizers.FileName}: name one with --tokenizer PATH, or --tokenizer byte.");
    }
}

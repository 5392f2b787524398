using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;

namespace DeepSeekOps.Worker.Cli;

/// <summary>A checkpoint opened to continue prompts: its shape and tokenizer at once, its weights when they are first needed.</summary>
internal sealed class SpeakingCheckpoint : IDisposable
{
    private readonly string _folder;
    private readonly ModelShape _shape;
    private readonly string? _file;
    private DeepSeekModel? _model;

    private SpeakingCheckpoint(string folder, ITokenizer tokenizer, string? file)
    {
        (_folder, Tokenizer, _file) = (folder, tokenizer, file);
        _shape = ConfigJson.Read(Path.Combine(folder, ConfigJson.FileName));
    }

    public ITokenizer Tokenizer { get; }

    /// <param name="digest">Of its manifest, where it is known; empty otherwise.</param>
    /// <param name="tokenizer">"byte", or a tokenizer.json. Null: the checkpoint's own.</param>
    /// <param name="average">The moving average of the weights in the place of the weights.</param>
    public static SpeakingCheckpoint Open(string folder, string digest, string? tokenizer, bool average = false)
    {
        var ours = digest.Length > 0 || File.Exists(Path.Combine(folder, Manifest.FileName));
        if (ours)
        {
            Manifest.Verify(folder, digest);
        }

        if (average && !File.Exists(Path.Combine(folder, ModelWeights.AverageFileName))
            && !File.Exists(Path.Combine(folder, WeightList.IndexOf(ModelWeights.AverageFileName))))
        {
            throw new CheckpointFormatException(
                $"{folder} has no {ModelWeights.AverageFileName}: only pretraining with ema above 0 keeps an average. Leave --ema out.");
        }
        return new SpeakingCheckpoint(folder, TokenizerOf(folder, tokenizer, ours), average ? ModelWeights.AverageFileName : null);
    }

    /// <summary>The prompt as tokens, if the model has places for them and for what is asked for.</summary>
    public int[] Tokens(string text, bool chat, int maxTokens)
    {
        int[] prompt = chat ? ChatTemplate.Prompt(text, Tokenizer) : [Tokenizer.Special.Bos, .. Tokenizer.Encode(text)];
        if (prompt.Length + maxTokens > _shape.ContextLength)
        {
            throw new InvalidDataException($"The prompt has {prompt.Length} tokens and up to {maxTokens} are to "
                + "follow: together more than the "
                + $"{_shape.ContextLength} places of this model. Shorten the prompt or ask for fewer.");
        }

        return prompt.All(id => id < _shape.VocabSize) ? prompt : throw new InvalidDataException(
            $"The tokenizer knows {Tokenizer.VocabSize} tokens and the model {_shape.VocabSize}: name the model's own with --tokenizer.");
    }

    public DeepSeekModel Model(string device)
    {
        LibtorchLoading.Require();
        if (_model is null)
        {
            _model = ModelFolder.Load(_folder, ComputeDevice.Choose(device), file: _file);
            if (FiniteNumbers.FirstSpoilt(_model.PublishedTensors()) is { } spoilt)
            {
                throw new InvalidDataException($"{_folder}: tensor {spoilt.Name} has "
                    + $"{(double.IsNaN(spoilt.Value) ? "NaN" : "an infinity")} in it. Choose an earlier checkpoint.");
            }
        }

        return _model;
    }

    public void Dispose() => _model?.Dispose();

    /// <summary>A checkpoint of ours without a tokenizer.json was trained on bytes; of others nothing is known.</summary>
    private static ITokenizer TokenizerOf(string folder, string? named, bool ours)
    {
        var beside = Path.Combine(folder, TokenizerJson.FileName);
        return named is not null ? TokenizerFiles.Open(named)
            : File.Exists(beside) ? TokenizerFiles.Open(beside)
            : ours ? TokenizerFiles.Open("byte")
            : throw new CheckpointFormatException($"{folder} brings no {TokenizerJson.FileName}: name one with --tokenizer "
                + "PATH, or --tokenizer byte.");
    }
}

using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// Documents to read and problems to solve, each reached by its index alone. Three kinds: the endless generator
/// <see cref="BuiltinData"/>, the user's own files, <see cref="FileData"/>, and what was prepared from such, <see cref="PreparedData"/>.
/// </summary>
public interface ITrainingData
{
    /// <summary>Documents before an epoch ends; null where the source is endless.</summary>
    long? DocumentCount { get; }

    /// <param name="index">Counts on through the epochs, each in an order of its own.</param>
    IReadOnlyList<int> Tokens(long index, ITokenizer tokenizer);

    /// <summary>How many those are, where that is known without reading them; null: they have to be made.</summary>
    int? TokenCount(long index) => null;

    /// <summary>Where a document lies, for people: "corpus.jsonl, line 12".</summary>
    string DocumentPlace(long index);

    /// <summary>The same source with documents that make use of sequences of this length, where it can make them.</summary>
    ITrainingData ForContext(int sequenceLength);

    /// <summary>Problems to train on before they repeat; null where endless, 0 where the source has none.</summary>
    long? ProblemCount { get; }

    /// <summary>Conversations to fine-tune on before they repeat; null where endless, 0 where the source has none.</summary>
    long? ConversationCount { get; }

    /// <summary>Training problems with their solutions, then conversations of several turns or with a system prompt.</summary>
    Conversation TrainingConversation(long index);

    string ConversationPlace(long index);

    Problem TrainingProblem(long index);

    string ProblemPlace(long index);

    /// <summary>Problems that never appear among the training problems, for measuring.</summary>
    int HeldOutCount { get; }

    Problem HeldOutProblem(int index);

    /// <summary>The files that it reads, in order, as this launch found them; none where it makes its documents itself.</summary>
    IReadOnlyList<InputMark> Inputs => [];
}

public static class TrainingData
{
    public const string Arithmetic = "builtin:arithmetic";

    public static ITrainingData Open(DataConfig config, long seed) => config.Source switch
    {
        "" or Arithmetic => new BuiltinData(seed, config.Heldout),
        var source when DataSource.IsBuiltin(source) =>
            throw new InvalidDataException($"There is no data source {source}. Use '{Arithmetic}', or paths of .txt and .jsonl files."),
        var source => DataSource.PreparedOf(DataSource.Split(source)) is { } folder ? PreparedData.Open(folder, config.Tokenizer, seed)
            : FileData.Open(DataSource.Split(source), seed, config.Heldout),
    };
}

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// A prepared set as a stage reads it: documents by sample, already tokens. Problems and conversations are no part of it: whoever asks or
/// answers reads files.
/// </summary>
public sealed class PreparedData : ITrainingData, IDisposable
{
    private readonly PreparedSet _set;
    private readonly SampleOrder _order;

    private PreparedData(PreparedSet set, long seed) => (_set, _order) = (set, new SampleOrder(set.Manifest.Sources, seed));

    public long? DocumentCount => _order.Samples;

    public long? ProblemCount => 0;

    public int HeldOutCount => 0;

    public long? ConversationCount => 0;

    /// <summary>The manifest, which vouches for all that the set holds.</summary>
    public IReadOnlyList<InputMark> Inputs =>
        [new(Path.Combine(_set.Folder, PreparedManifest.FileName), _set.ManifestBytes, _set.Digest)];

    /// <exception cref="BadInputException">It is not whole, or of another tokenizer.</exception>
    public static PreparedData Open(string folder, string tokenizer, long seed)
    {
        var set = PreparedSet.Open(folder);
        try
        {
            set.RequireTokenizer(tokenizer,
                TokenizerFiles.FileOf(tokenizer) is { } file ? NamedFile.ReadAll(file, TokenizerJson.BytesMax) : []);
            return new PreparedData(set, seed);
        }
        catch
        {
            set.Dispose();
            throw;
        }
    }

    public IReadOnlyList<int> Tokens(long index, ITokenizer tokenizer) => _set.Tokens(_order.DocumentOf(index));

    public int? TokenCount(long index) => _set.Length(_order.DocumentOf(index));

    public string DocumentPlace(long index) => _set.InWords(_order.DocumentOf(index));

    public ITrainingData ForContext(int sequenceLength) => this;

    public Conversation TrainingConversation(long index) => throw None();

    public string ConversationPlace(long index) => throw None();

    public Problem TrainingProblem(long index) => throw None();

    public string ProblemPlace(long index) => throw None();

    public Problem HeldOutProblem(int index) => throw None();

    public void Dispose() => _set.Dispose();

    private BadInputException None() => new(
        $"The prepared set '{_set.Folder}' has documents, and neither questions nor conversations.",
        "Name it as the data of pretraining or context extension; for stages that ask or answer name .jsonl files.");
}

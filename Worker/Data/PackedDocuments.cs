namespace DeepSeekOps.Worker.Data;

/// <summary>The place in the packed stream where the next sequence begins: a document and a token in it.</summary>
public sealed record DataCursor(long Document, int Offset)
{
    public static readonly DataCursor Start = new(0, 0);

    public string InWords(long? documentsPerEpoch) => documentsPerEpoch is { } count
        ? $"epoch {Document / count}, document {Document % count}, token {Offset}"
        : $"document {Document}, token {Offset}";
}

/// <summary>
/// Documents one after another, cut into sequences of equal length, attention going across documents (the report's packing
/// "without cross-sample attention masking"). Sequences overlap by one token, so that every token is predicted once.
/// </summary>
public sealed class PackedDocuments(ITrainingData data, ITokenizer tokenizer, long seed, double fimRate)
{
    private ITrainingData _data = data;
    private long _loaded = -1;
    private IReadOnlyList<int> _tokens = [];

    /// <summary>Where the next sequence begins. Set it to go on from a checkpoint: only one document is made anew.</summary>
    public DataCursor Cursor { get; set; } = DataCursor.Start;

    /// <summary>Goes on from a checkpoint in the documents of another source, which it was reading then.</summary>
    public void Begin(ITrainingData source, DataCursor cursor) => (_data, _loaded, Cursor) = (source, -1, cursor);

    /// <summary>Goes on with the documents of another source; the one that is half read has another end there, and is left.</summary>
    public void GoOnWith(ITrainingData source)
    {
        if (!ReferenceEquals(source, _data))
        {
            Begin(source, Cursor.Offset == 0 ? Cursor : new DataCursor(Cursor.Document + 1, 0));
        }
    }

    /// <returns>Token ids, row by row: [rows, sequenceLength + 1]; the last of a row is only a label.</returns>
    public long[] Next(int rows, int sequenceLength) => Next(rows, sequenceLength, (0, rows));

    /// <summary>
    /// The same batch, of which only a part is wanted. Where a row begins is known by the lengths of those before it, which are read where
    /// nothing else tells them: the order is one, however many share it.
    /// </summary>
    /// <returns>[share.Count, sequenceLength + 1]</returns>
    public long[] Next(int rows, int sequenceLength, (int First, int Count) share)
    {
        var width = sequenceLength + 1;
        var own = new long[share.Count * width];
        for (var row = 0; row < rows; row++)
        {
            var at = row - share.First;
            if (at >= 0 && at < share.Count)
            {
                Fill(own.AsSpan(at * width, width));
            }
            else
            {
                Pass(sequenceLength);
            }
        }
        return own;
    }

    /// <summary>A row that is another's: it ends with the token that the next one begins with.</summary>
    private void Pass(int sequenceLength)
    {
        var (document, offset) = (Cursor.Document, (long)Cursor.Offset + sequenceLength);
        for (var length = LengthOf(document); offset >= length; length = LengthOf(document))
        {
            (document, offset) = (document + 1, offset - length);
        }
        Cursor = new DataCursor(document, (int)offset);
    }

    /// <summary>With the marks around it, and those within it where it is rearranged.</summary>
    private int LengthOf(long document)
    {
        if (document == _loaded || _data.TokenCount(document) is not { } count)
        {
            return Load(document).Count;
        }
        var random = new SeededRandom(seed, "fim", document);
        return count + 2 + (random.NextDouble() < fimRate ? FillInTheMiddle.MarksIn(count) : 0);
    }

    private void Fill(Span<long> row)
    {
        var (document, offset) = (Cursor.Document, Cursor.Offset);
        if (offset >= Load(document).Count)
        {
            // The data are others than those that the cursor was made with.
            (document, offset) = (document + 1, 0);
        }
        for (var i = 0; i < row.Length; i++)
        {
            var tokens = Load(document);
            row[i] = tokens[offset];
            if (i == row.Length - 1)
            {
                // The label of the last place is the first token of the next sequence.
                Cursor = new DataCursor(document, offset);
            }
            if (++offset == tokens.Count)
            {
                (document, offset) = (document + 1, 0);
            }
        }
    }

    private IReadOnlyList<int> Load(long document)
    {
        if (document != _loaded)
        {
            var random = new SeededRandom(seed, "fim", document);
            var text = _data.Tokens(document, tokenizer);
            var body = random.NextDouble() < fimRate ? FillInTheMiddle.Rearrange(text, tokenizer.Special, ref random) : text;
            _tokens = [tokenizer.Special.Bos, .. body, tokenizer.Special.Eos];
            _loaded = document;
        }
        return _tokens;
    }
}

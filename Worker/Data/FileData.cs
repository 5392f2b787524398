using System.Security.Cryptography;
using System.Text;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// The user's .txt and .jsonl files. A line of .jsonl is a document ("text", or a conversation told as text) and, where it has a
/// question and an answer, also a problem; where somebody is answered, a conversation; a .txt is cut at blank lines into documents of about
/// <see cref="TextPieceBytes"/>. Only an index of offsets is kept in memory. Each epoch goes through the documents in an order of its own.
/// </summary>
public sealed class FileData : ITrainingData
{
    public const int TextPieceBytes = 8192;

    private readonly List<FileSlice> _slices;
    private readonly List<FileSlice> _problems;
    private readonly List<FileSlice> _longer; // conversations that are no problems
    private readonly long _seed;
    private readonly Permutation _heldOutFirst;

    private FileData(List<FileSlice> slices, List<FileSlice> problems, List<FileSlice> longer, long seed, int heldOut,
        IReadOnlyList<InputMark> inputs)
    {
        (_slices, _problems, _longer, _seed, Inputs) = (slices, problems, longer, seed, inputs);
        _heldOutFirst = new Permutation(Math.Max(1, problems.Count), seed);
        // At most a fifth is kept back, so that a small file still has something to train on.
        HeldOutCount = Math.Min(heldOut, problems.Count / 5);
    }

    public IReadOnlyList<InputMark> Inputs { get; }

    public long? DocumentCount => _slices.Count;

    public long? ProblemCount => _problems.Count - HeldOutCount;

    public int HeldOutCount { get; }

    public long? ConversationCount => ProblemCount + _longer.Count;

    public static FileData Open(IReadOnlyList<string> paths, long seed, int heldOut)
    {
        var (slices, problems, longer) = (new List<FileSlice>(), new List<FileSlice>(), new List<FileSlice>());
        var (says, inputs) = (false, new List<InputMark>());
        foreach (var path in paths)
        {
            if (FileSeen.At(path).Kind is FileKind.Missing or FileKind.Dangling)
            {
                throw new FileNotFoundException(
                    $"The data file {path} is not there. Give the path of a .txt or .jsonl file as the worker sees it, or "
                        + $"'{TrainingData.Arithmetic}'.", path);
            }
            // Every byte is read here anyway: what they sum up to costs little beside reading what they say.
            using var sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var (said, bytes) = DataFile.KindOf(path) == DataKind.Lines ? IndexLines(path, sum, slices, problems, longer)
                : IndexPieces(path, sum, slices);
            says |= said;
            inputs.Add(new InputMark(path, bytes, Convert.ToHexStringLower(sum.GetHashAndReset())));
        }
        return says ? new FileData(slices, problems, longer, seed, heldOut, inputs) : throw DataFile.Empty(string.Join("', '", paths));
    }

    public string DocumentPlace(long index) => DocumentSlice(index).InWords();

    public string ConversationPlace(long index)
    {
        var place = index % Math.Max(1, ConversationCount!.Value) - ProblemCount!.Value;
        return place < 0 ? ProblemPlace(place + ProblemCount.Value) : _longer[(int)place].InWords();
    }

    public string ProblemPlace(long index) =>
        _problems[(int)_heldOutFirst[HeldOutCount + (index % (_problems.Count - HeldOutCount))]].InWords();

    private FileSlice DocumentSlice(long index)
    {
        var (epoch, within) = Math.DivRem(index, _slices.Count);
        return _slices[(int)new Permutation(_slices.Count, _seed + epoch)[within]];
    }

    public IReadOnlyList<int> Tokens(long index, ITokenizer tokenizer) => tokenizer.Encode(Document(index));

    public string Document(long index)
    {
        var slice = DocumentSlice(index);
        return slice.IsJson ? ConversationOf(slice).AsDocument() : slice.ReadText();
    }

    public ITrainingData ForContext(int sequenceLength) => this;

    public Problem TrainingProblem(long index) => ProblemAt(HeldOutCount + (index % (_problems.Count - HeldOutCount)));

    public Conversation TrainingConversation(long index)
    {
        var place = index % Math.Max(1, ConversationCount!.Value) - ProblemCount!.Value;
        return place < 0 ? TrainingProblem(place + ProblemCount.Value).ToConversation() : ConversationOf(_longer[(int)place]);
    }

    public Problem HeldOutProblem(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)HeldOutCount, nameof(index));
        return ProblemAt(index);
    }

    private Problem ProblemAt(long position)
    {
        if (_problems.Count == 0)
        {
            throw new InvalidDataException(
                "The data has no problems: a stage that asks questions needs .jsonl lines with \"question\" and \"answer\".");
        }
        return Problem.Of(ConversationOf(_problems[(int)_heldOutFirst[position]]));
    }

    private static Conversation ConversationOf(FileSlice slice) => Conversation.FromJson(slice.ReadText());

    /// <returns>Whether any of them says something, and the bytes of the file.</returns>
    private static (bool Says, long Bytes) IndexLines(
        string path, IncrementalHash sum, List<FileSlice> slices, List<FileSlice> problems, List<FileSlice> longer)
    {
        var (says, end) = (false, 0L);
        foreach (var (slice, bytes, number) in FileSlice.Lines(path, sum))
        {
            end = slice.Offset + slice.Length;
            TextBytes.Require(bytes.Span, path, number);
            if (ConversationLine.Read(bytes, path, number) is not { } conversation)
            {
                continue;
            }
            slices.Add(slice);
            says = says || !conversation.IsBlank;
            if (conversation.IsProblem)
            {
                problems.Add(slice);
            }
            else if (conversation.IsAnswered)
            {
                longer.Add(slice);
            }
        }
        return (says, end);
    }

    /// <returns>Whether any of them says something, and the bytes of the file.</returns>
    private static (bool Says, long Bytes) IndexPieces(string path, IncrementalHash sum, List<FileSlice> slices)
    {
        FileSlice? open = null;
        var (says, end) = (false, 0L);
        foreach (var (line, bytes, number) in FileSlice.Lines(path, sum))
        {
            end = line.Offset + line.Length;
            TextBytes.Require(bytes.Span, path, number);
            says = says || !TextBytes.IsBlank(bytes.Span);
            open = open is { } begun ? begun with { Length = (int)(line.Offset + line.Length - begun.Offset) } : line;
            if (open is { Length: >= TextPieceBytes } full
                && (full.Length >= DataFile.LineBytesMax || string.IsNullOrWhiteSpace(Encoding.UTF8.GetString(bytes.Span))))
            {
                slices.Add(full);
                open = null;
            }
        }
        if (open is { Length: > 0 } last)
        {
            slices.Add(last);
        }
        return (says, end);
    }
}

/// <summary>Bytes of a file, read when they are asked for.</summary>
public readonly record struct FileSlice(string Path, long Offset, int Length)
{
    private const int PieceBytes = 1 << 16;

    public bool IsJson => DataFile.KindOf(Path) == DataKind.Lines;

    /// <summary>Without the byte order marks that stand in front of lines where files were joined.</summary>
    public string ReadText() =>
        Encoding.UTF8.GetString(ReadBytes()).TrimEnd('\r', '\n').Replace("\n\uFEFF", "\n", StringComparison.Ordinal);

    /// <summary>"corpus.jsonl, line 12". Reads the file up to there: for a message, not for each step.</summary>
    public string InWords()
    {
        using var stream = File.OpenRead(Path);
        var buffer = new byte[1 << 16];
        var line = 1;
        for (var left = Offset; left > 0;)
        {
            var read = stream.Read(buffer, 0, (int)Math.Min(buffer.Length, left));
            if (read == 0)
            {
                break;
            }
            line += buffer.AsSpan(0, read).Count((byte)'\n');
            left -= read;
        }
        return $"{System.IO.Path.GetFileName(Path)}, line {line}";
    }

    private byte[] ReadBytes()
    {
        using var file = NamedFile.Open(Path);
        var bytes = new byte[Length];
        for (var done = 0; done < Length;)
        {
            var read = file.Read(bytes.AsSpan(done), Offset + done);
            done += read > 0 ? read
                : throw new InvalidDataException($"{Path} became shorter while it was read: {Length - done} bytes are "
                    + $"missing at {Offset + done}.");
        }
        return bytes;
    }

    /// <summary>The lines of a file with their ends, each with its bytes (until the next is asked for) and its number.</summary>
    /// <param name="sum">Is given every byte of the file.</param>
    public static IEnumerable<(FileSlice Slice, ReadOnlyMemory<byte> Bytes, long Number)> Lines(string path, IncrementalHash sum)
    {
        using var file = NamedFile.Open(path);
        var lines = new LineCutter(path);
        var buffer = new byte[PieceBytes];
        long begin = 0; // of the buffer in the file
        var used = 0;
        while (true)
        {
            if (used == buffer.Length)
            {
                Array.Resize(ref buffer, buffer.Length * 2);
            }
            var read = file.Read(buffer.AsSpan(used), begin + used);
            sum.AppendData(buffer.AsSpan(used, read));
            var cut = read == 0 ? lines.Rest() : lines.Take(buffer.AsMemory(used, read));
            used += read;
            long kept = begin;
            foreach (var line in cut)
            {
                yield return (new FileSlice(path, line.Offset, line.Length), buffer.AsMemory((int)(line.Offset - begin), line.Length),
                    line.Number);
                kept = line.Offset + line.Length;
            }
            if (read == 0)
            {
                yield break;
            }
            // What is left is the beginning of a line.
            buffer.AsSpan((int)(kept - begin), used - (int)(kept - begin)).CopyTo(buffer);
            (used, begin) = (used - (int)(kept - begin), kept);
        }
    }
}

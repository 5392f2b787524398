using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// The user's .txt and .jsonl files. A line of .jsonl is a document ("text", or a conversation told as text) and, where it has a
/// question and an answer, also a problem; where somebody is answered, a conversation; a .txt is cut at blank lines into documents of about <see cref="TextPieceBytes"/>.
/// Only an index of offsets is kept in memory. Each epoch goes through the documents in an order of its own.
/// </summary>
public sealed class FileData : ITrainingData
{
    public const int TextPieceBytes = 8192;

    private readonly List<FileSlice> _slices;
    private readonly List<FileSlice> _problems;
    private readonly List<FileSlice> _longer; // conversations that are no problems
    private readonly long _seed;
    private readonly Permutation _heldOutFirst;

    private FileData(List<FileSlice> slices, List<FileSlice> problems, List<FileSlice> longer, long seed, int heldOut)
    {
        (_slices, _problems, _longer, _seed) = (slices, problems, longer, seed);
        _heldOutFirst = new Permutation(Math.Max(1, problems.Count), seed);
        // At most a fifth is kept back, so that a small file still has something to train on.
        HeldOutCount = Math.Min(heldOut, problems.Count / 5);
    }

    public long? DocumentCount => _slices.Count;

    public long? ProblemCount => _problems.Count - HeldOutCount;

    public int HeldOutCount { get; }

    public long? ConversationCount => ProblemCount + _longer.Count;

    public static FileData Open(IReadOnlyList<string> paths, long seed, int heldOut)
    {
        var (slices, problems, longer) = (new List<FileSlice>(), new List<FileSlice>(), new List<FileSlice>());
        foreach (var path in paths)
        {
            if (!File.Exists(path))
            {
                throw new FileNotFoundException(
                    $"The data file {path} is not there. Give the path of a .txt or .jsonl file as the worker sees it, or '{TrainingData.Arithmetic}'.", path);
            }
            switch (Path.GetExtension(path))
            {
                case ".jsonl":
                    IndexLines(path, slices, problems, longer);
                    break;
                case ".txt":
                    IndexPieces(path, slices);
                    break;
                case var extension:
                    throw new InvalidDataException($"The data file {path} ends in '{extension}'; .txt and .jsonl are read.");
            }
        }
        if (slices.Count == 0)
        {
            throw new InvalidDataException($"There is no document in {string.Join(", ", paths)}: the file is empty. Name one with text in it.");
        }
        return new FileData(slices, problems, longer, seed, heldOut);
    }

    public string Document(long index)
    {
        var (epoch, within) = Math.DivRem(index, _slices.Count);
        var slice = _slices[(int)new Permutation(_slices.Count, _seed + epoch)[within]];
        return slice.IsJson ? Conversation.FromJson(slice.ReadText()).AsDocument() : slice.ReadText();
    }

    public ITrainingData ForContext(int sequenceLength) => this;

    public Problem TrainingProblem(long index) => ProblemAt(HeldOutCount + (index % (_problems.Count - HeldOutCount)));

    public Conversation TrainingConversation(long index)
    {
        var place = index % Math.Max(1, ConversationCount!.Value) - ProblemCount!.Value;
        return place < 0 ? Conversation.Of(TrainingProblem(place + ProblemCount.Value)) : Conversation.FromJson(_longer[(int)place].ReadText());
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
        var slice = _problems[(int)_heldOutFirst[position]];
        return Conversation.FromJson(slice.ReadText()).AsProblem();
    }

    private static void IndexLines(string path, List<FileSlice> slices, List<FileSlice> problems, List<FileSlice> longer)
    {
        var number = 0;
        foreach (var slice in FileSlice.Lines(path))
        {
            number++;
            slice.RequireUtf8(number);
            var line = slice.ReadText();
            if (string.IsNullOrWhiteSpace(line))
            {
                continue;
            }
            try
            {
                var conversation = Conversation.FromJson(line);
                slices.Add(slice);
                if (conversation.IsProblem)
                {
                    problems.Add(slice);
                }
                else if (conversation.IsAnswered)
                {
                    longer.Add(slice);
                }
            }
            catch (Exception e) when (e is JsonException or InvalidDataException)
            {
                string what = e is JsonException ? $"no JSON ({e.Message}). Write one JSON object a line." : e.Message;
                throw new InvalidDataException($"{path}, line {number}: {what}", e);
            }
        }
    }

    private static void IndexPieces(string path, List<FileSlice> slices)
    {
        long start = 0, end = 0;
        var (number, firstLine) = (0, 1);
        foreach (var line in FileSlice.Lines(path))
        {
            number++;
            end = line.Offset + line.Length;
            if (end - start >= TextPieceBytes && string.IsNullOrWhiteSpace(line.ReadText()))
            {
                Add();
            }
        }
        if (end > start)
        {
            Add();
        }

        void Add()
        {
            var slice = new FileSlice(path, start, (int)(end - start));
            slice.RequireUtf8(firstLine);
            slices.Add(slice);
            (start, firstLine) = (end, number + 1);
        }
    }
}

/// <summary>Bytes of a file, read when they are asked for.</summary>
public readonly record struct FileSlice(string Path, long Offset, int Length)
{
    public bool IsJson => Path.EndsWith(".jsonl", StringComparison.Ordinal);

    public string ReadText() => Encoding.UTF8.GetString(ReadBytes()).TrimEnd('\r', '\n');

    private byte[] ReadBytes()
    {
        using var handle = File.OpenHandle(Path);
        var bytes = new byte[Length];
        var read = RandomAccess.Read(handle, bytes, Offset);
        return read == Length
            ? bytes
            : throw new InvalidDataException($"{Path} became shorter while it was read: {Length - read} bytes are missing at {Offset}.");
    }

    /// <exception cref="InvalidDataException">The bytes are no UTF-8: read as if they were, the model would learn replacement marks.</exception>
    public void RequireUtf8(int firstLine)
    {
        var bytes = ReadBytes();
        if (!Utf8.IsValid(bytes))
        {
            var good = 0;
            while (Rune.DecodeFromUtf8(bytes.AsSpan(good), out _, out var length) == System.Buffers.OperationStatus.Done)
            {
                good += length;
            }
            var line = firstLine + bytes.AsSpan(0, good).Count((byte)'\n');
            throw new InvalidDataException($"{Path}, line {line}: this is not UTF-8. Convert the file, for example with `iconv -f ISO-8859-1 -t UTF-8`.");
        }
    }

    /// <summary>The lines of a file with their ends, by offset.</summary>
    public static IEnumerable<FileSlice> Lines(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 20);
        var buffer = new byte[1 << 16];
        long start = 0, position = 0;
        int read;
        while ((read = stream.Read(buffer)) > 0)
        {
            for (var i = 0; i < read; i++)
            {
                position++;
                if (buffer[i] == (byte)'\n')
                {
                    yield return new FileSlice(path, start, (int)(position - start));
                    start = position;
                }
            }
        }
        if (position > start)
        {
            yield return new FileSlice(path, start, (int)(position - start));
        }
    }
}

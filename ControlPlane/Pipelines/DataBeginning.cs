using System.Text.Json;
using System.Text.Unicode;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>
/// A look at how a data file or tokenizer begins, so that a slip in it is told at submission and not by the first launch. The rank
/// that trains on it reads all of it and has the last word.
/// </summary>
internal static class DataBeginning
{
    private const int BytesRead = 64 << 10;
    private const long TokenizerBytesMax = 64 << 20;

    /// <summary>What is wrong, and what to do; null where nothing is, or where this machine cannot read the file.</summary>
    public static (string Message, string Fix)? Wrong(string file)
    {
        try
        {
            if (!File.Exists(file))
            {
                return null;
            }
            if (file.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
            {
                return WrongTokenizer(file);
            }
            byte[] bytes = Read(file, out bool whole);
            return bytes.All(b => char.IsWhiteSpace((char)b)) && whole ? ($"'{file}' is empty.", "Name a file with text in it.")
                : WrongText(file, bytes) ?? (file.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase) ? WrongLine(file, bytes, whole) : null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The ids of a tokenizer; 0 where this machine cannot read it. Marks that it lacks come on top: the rank counts them.</summary>
    public static int TokenizerIds(string file)
    {
        try
        {
            if (!File.Exists(file) || new FileInfo(file).Length > TokenizerBytesMax)
            {
                return 0;
            }
            using var document = JsonDocument.Parse(File.ReadAllBytes(file));
            var vocabulary = document.RootElement.GetProperty("model").GetProperty("vocab").EnumerateObject().Select(e => e.Value.GetInt32());
            var added = document.RootElement.TryGetProperty("added_tokens", out var tokens) ? tokens.EnumerateArray().Select(e => e.GetProperty("id").GetInt32()) : [];
            return vocabulary.Concat(added).DefaultIfEmpty(-1).Max() + 1;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            return 0;
        }
    }

    private static byte[] Read(string file, out bool whole)
    {
        using var stream = File.OpenRead(file);
        byte[] bytes = new byte[Math.Min(BytesRead, stream.Length)];
        int read = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        whole = read == stream.Length;
        return bytes[..read];
    }

    private static (string, string)? WrongText(string file, byte[] bytes)
    {
        int line = 1;
        foreach (var range in Lines(bytes))
        {
            // The last line read may end within a character.
            bool cut = range.End.Value == bytes.Length && bytes.Length == BytesRead;
            if (!cut && !Utf8.IsValid(bytes.AsSpan(range)))
            {
                return ($"'{file}', line {line}, is not UTF-8.", "Convert the file, for example with `iconv -f ISO-8859-1 -t UTF-8`.");
            }
            line++;
        }
        return null;
    }

    private static (string, string)? WrongLine(string file, byte[] bytes, bool whole)
    {
        int line = 0;
        foreach (var range in Lines(bytes))
        {
            line++;
            if (range.End.Value == bytes.Length && !whole)
            {
                return null;
            }
            var text = bytes.AsMemory(range);
            if (text.Span.Trim(" \t\r\n"u8).IsEmpty)
            {
                continue;
            }
            try
            {
                using var document = JsonDocument.Parse(text);
                var root = document.RootElement;
                if (root.ValueKind != JsonValueKind.Object || !(root.TryGetProperty("text", out _) || root.TryGetProperty("messages", out _)
                    || (root.TryGetProperty("question", out _) && root.TryGetProperty("answer", out _))))
                {
                    return ($"'{file}', line {line}, has none of the keys that are read.",
                        "Write \"text\", or \"question\" and \"answer\", or \"messages\" in each line.");
                }
            }
            catch (JsonException e)
            {
                return ($"'{file}', line {line}, is no JSON: {e.Message}", "Write one JSON object a line.");
            }
        }
        return null;
    }

    private static (string, string)? WrongTokenizer(string file)
    {
        if (new FileInfo(file).Length > TokenizerBytesMax)
        {
            return null;
        }
        const string Fix = "Name a tokenizer.json with \"model\": {\"vocab\", \"merges\"}, as Hugging Face's tokenizers write it, or write byte.";
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(file));
            return document.RootElement is { ValueKind: JsonValueKind.Object } root && root.TryGetProperty("model", out var model)
                && model.ValueKind == JsonValueKind.Object
                && model.TryGetProperty("vocab", out var vocabulary) && vocabulary.ValueKind == JsonValueKind.Object
                && model.TryGetProperty("merges", out var merges) && merges.ValueKind == JsonValueKind.Array
                ? null : ($"'{file}' is not a byte-level BPE tokenizer.", Fix);
        }
        catch (JsonException e)
        {
            return ($"'{file}' is no JSON: {e.Message}", Fix);
        }
    }

    private static IEnumerable<Range> Lines(byte[] bytes)
    {
        for (int start = 0; start < bytes.Length;)
        {
            int length = bytes.AsSpan(start).IndexOf((byte)'\n');
            int end = length < 0 ? bytes.Length : start + length + 1;
            yield return start..end;
            start = end;
        }
    }
}

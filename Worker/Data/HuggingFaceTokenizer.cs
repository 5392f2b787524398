using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// The byte-level BPE of a Hugging Face tokenizer.json (DeepSeek-V3's own is one). Special tokens are found among the added
/// tokens by DeepSeek's names; those the file lacks get ids after its vocabulary.
/// </summary>
public sealed class HuggingFaceTokenizer : ITokenizer
{
    private readonly BpeTokenizer _bpe;
    private readonly HashSet<int> _specialIds;

    public HuggingFaceTokenizer(string path)
    {
        using var document = Parse(path);
        var root = document.RootElement;
        var model = root.GetProperty("model");
        if (model.TryGetProperty("type", out var type) && type.GetString() != "BPE")
        {
            throw new InvalidDataException($"{path} holds a {type.GetString()} tokenizer; only byte-level BPE is supported.");
        }
        var vocabulary = model.GetProperty("vocab").EnumerateObject().ToDictionary(e => e.Name, e => e.Value.GetInt32());
        var added = root.TryGetProperty("added_tokens", out var tokens)
            ? tokens.EnumerateArray().ToDictionary(e => e.GetProperty("content").GetString() ?? "", e => e.GetProperty("id").GetInt32())
            : [];
        var merges = model.GetProperty("merges").EnumerateArray().Select(MergeLine).ToList();
        _bpe = BpeTokenizer.Create(new BpeOptions(vocabulary) { ByteLevel = true, Merges = merges, PreTokenizer = PreTokenizerOf(root) });

        var next = vocabulary.Values.Concat(added.Values).Max() + 1;
        int Id(params ReadOnlySpan<string> names)
        {
            foreach (var name in names)
            {
                if (added.TryGetValue(name, out var id) || vocabulary.TryGetValue(name, out id))
                {
                    return id;
                }
            }
            return next++;
        }
        Special = new(
            Bos: Id("<｜begin▁of▁sentence｜>", "<|begin_of_text|>", "<s>", "<|endoftext|>"),
            Eos: Id("<｜end▁of▁sentence｜>", "<|end_of_text|>", "</s>", "<|endoftext|>"),
            Pad: Id("<｜▁pad▁｜>", "<pad>"),
            User: Id("<｜User｜>", "<|user|>"),
            Assistant: Id("<｜Assistant｜>", "<|assistant|>"),
            FimBegin: Id("<｜fim▁begin｜>", "<|fim_prefix|>"),
            FimHole: Id("<｜fim▁hole｜>", "<|fim_suffix|>"),
            FimEnd: Id("<｜fim▁end｜>", "<|fim_middle|>"));
        VocabSize = next;
        _specialIds =
        [
            .. added.Values, Special.Bos, Special.Eos, Special.Pad, Special.User, Special.Assistant,
            Special.FimBegin, Special.FimHole, Special.FimEnd,
        ];
    }

    public int VocabSize { get; }

    public SpecialTokens Special { get; }

    public IReadOnlyList<int> Encode(string text) => _bpe.EncodeToIds(text);

    public string Decode(ReadOnlySpan<int> ids)
    {
        var text = new List<int>(ids.Length);
        foreach (var id in ids)
        {
            if (!_specialIds.Contains(id))
            {
                text.Add(id);
            }
        }
        return _bpe.Decode(text);
    }

    private static JsonDocument Parse(string path)
    {
        try
        {
            return JsonDocument.Parse(File.ReadAllBytes(path));
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is not a tokenizer.json: {e.Message}", e);
        }
    }

    // Older files write a merge as "a b", newer ones as ["a", "b"].
    private static string MergeLine(JsonElement merge) =>
        merge.ValueKind == JsonValueKind.Array ? $"{merge[0].GetString()} {merge[1].GetString()}" : merge.GetString() ?? "";

    // GPT-2's split of words, which a ByteLevel step with use_regex applies by itself.
    private const string WordPattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private static CompositePreTokenizer PreTokenizerOf(JsonElement root)
    {
        var patterns = new List<string>();
        if (root.TryGetProperty("pre_tokenizer", out var step) && step.ValueKind == JsonValueKind.Object)
        {
            Collect(step, patterns);
        }
        if (patterns.Count == 0)
        {
            patterns.Add(WordPattern);
        }
        return new CompositePreTokenizer(
            [.. patterns.Select(p => new RegexPreTokenizer(new Regex(p, RegexOptions.Compiled), specialTokens: null))], specialTokens: null);
    }

    private static void Collect(JsonElement step, List<string> patterns)
    {
        var type = step.GetProperty("type").GetString();
        if (type == "Sequence")
        {
            foreach (var inner in step.GetProperty("pretokenizers").EnumerateArray())
            {
                Collect(inner, patterns);
            }
        }
        else if (type == "Split" && step.GetProperty("pattern").TryGetProperty("Regex", out var regex))
        {
            patterns.Add(regex.GetString() ?? "");
        }
        else if (type == "ByteLevel" && (!step.TryGetProperty("use_regex", out var use) || use.GetBoolean()))
        {
            patterns.Add(WordPattern);
        }
    }
}

using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes;
using DeepSeekOps.Recipes.Data;
using DeepSeekOps.Recipes.Files;
using DeepSeekOps.Recipes.Tokenizers;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>
/// Files that a pipeline names. Their beginning is read here by the readers that the rank has (Contracts/Recipes), so that a slip is told
/// at submission, in the words of the rank; the rank reads all of them and has the last word.
/// </summary>
internal static class DataPaths
{
    /// <summary>Enough for what a person or an export does wrong throughout; read in some 20 ms.</summary>
    private const int BytesRead = 4 << 20;

    /// <summary>Relative paths begin at the folder of the file that names them.</summary>
    public static PipelineSpec Resolve(PipelineSpec spec, Reading reading)
    {
        spec = WithTokenizer(spec, reading);
        if (string.IsNullOrEmpty(reading.Folder))
        {
            return spec;
        }
        string At(string path) => reading.At(path);
        string Every(string source) => source.Length == 0 || DataSource.IsBuiltin(source) ? source
            : DataSource.Join(DataSource.Split(source).Select(At));
        return spec with
        {
            Data = spec.Data with
            {
                Source = Every(spec.Data.Source),
                Tokenizer = spec.Data.Tokenizer == "byte" ? "byte" : At(spec.Data.Tokenizer),
            },
            Stages = [.. spec.Stages.Select(stage => stage with
            {
                Recipe = stage.Recipe.Match<StageRecipe>(
                    p => p with { Data = Every(p.Data) }, c => c with { Data = Every(c.Data) },
                    sft => sft.Data.Length > 0 ? sft with { Data = At(sft.Data) } : sft, r => r, d => d),
            })],
        };
    }

    public static void Check(PipelineSpec spec, Reading reading)
    {
        CheckWeights(spec, reading);
        if (CheckSource(spec.Data.Source, "data.source", spec, reading) is { } all)
        {
            CheckNeeds(spec, all, reading);
        }
        if (spec.Data.Tokenizer != "byte")
        {
            CheckTokenizer(spec, reading);
        }
        foreach (var (stage, i) in spec.Stages.Select((s, i) => (s, i)))
        {
            if (stage.Recipe.Match(p => p.Data, c => c.Data, _ => "", _ => "", _ => "") is { Length: > 0 } read)
            {
                CheckSource(read, $"stages[{i}].data", spec, reading);
            }
            if (stage.Recipe.Match(_ => "", _ => "", sft => sft.Data, _ => "", _ => "") is { Length: > 0 } own)
            {
                var seen = CheckData(own, $"stages[{i}].data", linesOnly: true, reading);
                reading.Check(seen is not { Whole: true, Conversations: 0 }, $"stages[{i}].data",
                    $"'{own}' has no conversation in which somebody is answered.",
                    "Write \"question\" and \"answer\", or \"messages\" in which an assistant answers.", []);
            }
        }
    }

    /// <summary>Weights are read with the tokenizer beside them, unless the text names one.</summary>
    private static PipelineSpec WithTokenizer(PipelineSpec spec, Reading reading) =>
        spec.ModelFrom is { } from && !reading.Has("data.tokenizer") && Path.Combine(from.Folder, TokenizerJson.FileName) is var own
            && FileSeen.IsRegular(own)
            ? spec with { Data = spec.Data with { Tokenizer = own } } : spec;

    private static void CheckWeights(PipelineSpec spec, Reading reading)
    {
        if (spec.ModelFrom is not { } from || reading.FileExists is null)
        {
            return;
        }
        var (wrong, note) = PublishedFolder.IsSeen(from.Folder) ? PublishedFolder.Look(from.Folder) : (null, null);
        reading.Check(wrong is null, "model.from", wrong?.Message ?? "", wrong?.Fix ?? "", []);
        reading.Check(note is null, "model.from", note ?? "", "Nothing has to be done if this is meant.", [], ProblemSeverity.Warning);
    }

    /// <returns>How its files begin; null: a generator, which has all that stages need.</returns>
    private static List<DataBeginning?>? CheckSource(string source, string path, PipelineSpec spec, Reading reading)
    {
        if (DataSource.IsBuiltin(source))
        {
            reading.Check(source == "builtin:arithmetic", path, $"There is no generator '{source}'.", "Write builtin:arithmetic.", []);
            return null;
        }
        string[] named = DataSource.Split(source);
        string? folder = null;
        var wrong = Wrong(source, () =>
        {
            Array.ForEach(named, DataSource.RequireLocal);
            folder = reading.FileExists is null ? null : DataSource.PreparedOf(named);
        });
        if (wrong is not null || folder is not null)
        {
            DataBeginning? documents = null;
            wrong ??= Wrong(folder!, () => documents = CheckPrepared(folder!, spec));
            reading.Check(wrong is null, path, wrong?.Message ?? "", wrong?.Fix ?? "", ["data.tokenizer"]);
            return [documents];
        }
        return [.. named.Select(file => DataSource.IsFolderByName(file) ? Absent(file, path, reading)
            : CheckData(file, path, linesOnly: false, reading))];
    }

    /// <summary>Named as a folder, and none is seen: where files are looked for it has to be there.</summary>
    private static DataBeginning? Absent(string folder, string path, Reading reading)
    {
        reading.Check(reading.FileExists is not { } exists || exists(folder), path, $"There is no file or folder '{folder}'.",
            "Correct the path; a relative one begins at this file's folder. `dsops data prepare` makes such folders.", []);
        return null;
    }

    /// <summary>As the rank opens it: the manifest, the table, some of the shards, and by which tokenizer they were made.</summary>
    private static DataBeginning CheckPrepared(string folder, PipelineSpec spec)
    {
        using var set = PreparedSet.Open(folder);
        // A tokenizer that cannot be read is told at its own field.
        byte[]? json = spec.Data.Tokenizer == "byte" ? []
            : FileSeen.IsRegular(spec.Data.Tokenizer) ? NamedFile.ReadAll(spec.Data.Tokenizer, TokenizerJson.BytesMax) : null;
        if (json is not null)
        {
            set.RequireTokenizer(spec.Data.Tokenizer, json);
        }
        return new DataBeginning(Whole: true, (int)Math.Min(int.MaxValue, set.Manifest.Documents), Problems: 0, Conversations: 0);
    }

    private static DataBeginning? CheckData(string file, string path, bool linesOnly, Reading reading)
    {
        DataBeginning? seen = null;
        CheckFile(file, path, reading, () =>
        {
            if (DataFile.KindOf(file) != DataKind.Lines && linesOnly)
            {
                throw new BadInputException($"'{file}' is not a .jsonl; a .txt has no answers to learn.",
                    "Name a file that ends in .jsonl.");
            }
        }, () => seen = DataFile.CheckBeginning(file, BytesRead));
        return seen;
    }

    private static void CheckTokenizer(PipelineSpec spec, Reading reading)
    {
        string file = spec.Data.Tokenizer;
        TokenizerJson? read = null;
        CheckFile(file, "data.tokenizer", reading, () =>
        {
            if (!file.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
            {
                throw new BadInputException($"'{file}' is of a kind that is not read.", "Name a file that ends in .json, or write byte.");
            }
        }, () => read = TokenizerJson.Read(file));
        reading.Check(read is null || read.VocabSize <= spec.Model.VocabSize, "data.tokenizer",
            $"'{file}' has {read?.VocabSize} ids with its marks, the model {spec.Model.VocabSize}.",
            "Name the tokenizer that belongs to the model, or raise model.vocabSize.", ["model"]);
    }

    /// <summary>A stage that asks, and data in which nobody asks: known only where all of the data was seen.</summary>
    private static void CheckNeeds(PipelineSpec spec, List<DataBeginning?> seen, Reading reading)
    {
        if (!seen.TrueForAll(s => s is { Whole: true }))
        {
            return;
        }
        foreach (var (stage, i) in spec.Stages.Select((s, i) => (s, i)))
        {
            string? problems = seen.Sum(s => s!.Problems) == 0 ? "problems: lines with \"question\" and \"answer\"" : null;
            string? conversations = seen.Sum(s => s!.Conversations) == 0
                ? "conversations: lines with \"question\" and \"answer\", or with \"messages\" in which an assistant answers" : null;
            string? lacks = stage.Recipe.Match(
                _ => null, _ => null, sft => sft.Data.Length == 0 ? conversations : null, _ => problems, _ => problems);
            reading.Check(lacks is null, "data.source", $"Stage '{stage.Name}' needs {lacks}; the data has none.",
                "Name a .jsonl that has them; a prepared set, which has documents only, is named in the stages that read it ('data').",
                [$"stages[{i}]"]);
        }
    }

    /// <summary>What can be said of the name alone is said everywhere; the file is read where files are looked for.</summary>
    private static void CheckFile(string file, string path, Reading reading, Action name, Action read)
    {
        var wrong = Wrong(file, name);
        if (wrong is null && reading.FileExists is { } exists)
        {
            wrong = exists(file) ? FileSeen.At(file).Kind == FileKind.Missing ? null : Wrong(file, read)
                : (FileSeen.At(file) is { Kind: FileKind.Dangling, Target: var target }
                    ? $"'{file}' is a link to '{target}', which is not there." : $"There is no file '{file}'.",
                    "Correct the path; a relative one begins at this file's folder.");
        }
        reading.Check(wrong is null, path, wrong?.Message ?? "", wrong?.Fix ?? "", []);
    }

    private static (string Message, string Fix)? Wrong(string file, Action look)
    {
        try
        {
            look();
            return null;
        }
        catch (BadInputException e)
        {
            return (e.What, e.Fix);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Unreadable(e, file);
        }
    }

    /// <summary>What the system says of a read that failed names no file, and ends without a full stop.</summary>
    internal static (string Message, string Fix) Unreadable(Exception e, string file) =>
        (e.Message.Contains(file, StringComparison.Ordinal) ? $"{e.Message.TrimEnd('.')}."
            : $"'{file}' cannot be read: {e.Message.TrimEnd('.')}.", "The control plane and the workers have to be able to read it.");
}

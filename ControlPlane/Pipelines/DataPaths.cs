using System.Collections.Immutable;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>Files that a pipeline names.</summary>
internal static class DataPaths
{
    private const string Builtin = "builtin:";

    /// <summary>Relative paths begin at the folder of the file that names them.</summary>
    public static PipelineSpec Resolve(PipelineSpec spec, Reading reading)
    {
        spec = WithTokenizer(spec, reading);
        if (string.IsNullOrEmpty(reading.Folder))
        {
            return spec;
        }
        string At(string path) => reading.At(path);
        return spec with
        {
            Data = spec.Data with
            {
                Source = IsBuiltin(spec.Data.Source) ? spec.Data.Source : string.Join(',', Files(spec.Data.Source).Select(At)),
                Tokenizer = spec.Data.Tokenizer == "byte" ? "byte" : At(spec.Data.Tokenizer),
            },
            Stages = [.. spec.Stages.Select(stage => stage.Recipe is StageRecipe.SupervisedFineTuning { Data.Length: > 0 } sft
                ? stage with { Recipe = sft with { Data = At(sft.Data) } } : stage)],
        };
    }

    public static void Check(PipelineSpec spec, Reading reading)
    {
        var fileExists = reading.FileExists;
        CheckWeights(spec, reading);
        if (IsBuiltin(spec.Data.Source))
        {
            reading.Check(spec.Data.Source == "builtin:arithmetic", "data.source", $"There is no generator '{spec.Data.Source}'.",
                "Write builtin:arithmetic.", []);
        }
        else
        {
            foreach (string file in Files(spec.Data.Source))
            {
                CheckFile(file, "data.source", [".txt", ".jsonl"], reading, fileExists);
            }
        }
        if (spec.Data.Tokenizer != "byte")
        {
            CheckFile(spec.Data.Tokenizer, "data.tokenizer", [".json"], reading, fileExists);
            int ids = fileExists is not null && reading.Sound("data.tokenizer") ? DataBeginning.TokenizerIds(spec.Data.Tokenizer) : 0;
            reading.Check(ids <= spec.Model.VocabSize, "data.tokenizer", $"'{spec.Data.Tokenizer}' has {ids} ids, the model {spec.Model.VocabSize}.",
                "Name the tokenizer that belongs to the model, or raise model.vocabSize.", ["model"]);
        }
        foreach (var (stage, i) in spec.Stages.Select((s, i) => (s, i)))
        {
            if (stage.Recipe is StageRecipe.SupervisedFineTuning { Data.Length: > 0 } sft)
            {
                CheckFile(sft.Data, $"stages[{i}].data", [".jsonl"], reading, fileExists);
            }
        }
    }

    /// <summary>Weights are read with the tokenizer beside them, unless the text names one.</summary>
    private static PipelineSpec WithTokenizer(PipelineSpec spec, Reading reading) =>
        spec.ModelFrom is { } from && !reading.Has("data.tokenizer") && Path.Combine(from.Folder, PublishedFolder.TokenizerName) is var own && File.Exists(own)
            ? spec with { Data = spec.Data with { Tokenizer = own } } : spec;

    private static void CheckWeights(PipelineSpec spec, Reading reading)
    {
        if (spec.ModelFrom is not { } from || reading.FileExists is null)
        {
            return;
        }
        var wrong = PublishedFolder.IsSeen(from.Folder) ? PublishedFolder.Wrong(from.Folder) : null;
        reading.Check(wrong is null, "model.from", wrong?.Message ?? "", wrong?.Fix ?? "", []);
    }

    private static void CheckFile(string file, string path, string[] endings, Reading reading, Func<string, bool>? fileExists)
    {
        bool known = endings.Any(e => file.EndsWith(e, StringComparison.OrdinalIgnoreCase));
        reading.Check(known, path, $"'{file}' is of a kind that is not read.", $"Name a file that ends in {string.Join(" or ", endings)}.", []);
        if (known && fileExists is not null)
        {
            reading.Check(fileExists(file), path, $"There is no file '{file}'.", "Correct the path; a relative one begins at this file's folder.", []);
            var wrong = DataBeginning.Wrong(file);
            reading.Check(wrong is null, path, wrong?.Message ?? "", wrong?.Fix ?? "", []);
        }
    }

    private static bool IsBuiltin(string source) => source.StartsWith(Builtin, StringComparison.Ordinal);

    private static string[] Files(string source) =>
        source.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
}

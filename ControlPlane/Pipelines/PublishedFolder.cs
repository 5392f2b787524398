using System.Diagnostics;
using System.Security.Cryptography;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes;
using DeepSeekOps.Recipes.Files;
using DeepSeekOps.Recipes.Weights;
using ModelShape = DeepSeekOps.Decisions.Recipes.ModelShape;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>
/// A look at a folder of weights by the readers that the rank has (Contracts/Recipes): its config.json, its list of files, every tensor's
/// name, size and type. The numbers themselves are read by the rank alone.
/// </summary>
internal static class PublishedFolder
{
    private const string Manifest = "manifest.json";
    private const int ManifestBytesMax = 64 << 20;

    public static string ConfigOf(string folder) => Path.Combine(folder, ConfigJson.FileName);

    /// <summary>This machine sees the folder; on another one, its shape has to be said beside it.</summary>
    public static bool IsSeen(string folder) => FileSeen.At(ConfigOf(folder)).Kind is not (FileKind.Missing or FileKind.Dangling);

    /// <summary>The model's shape and the folder's digest, or what is wrong with its config.json.</summary>
    public static (ModelShape? Shape, string Digest, (string Message, string Fix) Problem) Read(string folder)
    {
        try
        {
            return (ToShape(ConfigJson.Read(ConfigOf(folder))), DigestOf(folder), ("", ""));
        }
        catch (Exception e) when (Told(e, folder) is { } told)
        {
            return (null, "", told);
        }
    }

    /// <summary>What is wrong with the weights, or what is to be said of them; both null where nothing is.</summary>
    public static ((string Message, string Fix)? Wrong, string? Note) Look(string folder)
    {
        try
        {
            var (shape, quantization) = ConfigJson.ReadModel(ConfigOf(folder));
            var notes = WeightCheck.Compare(shape, quantization, WeightList.Read(folder)).Notes;
            return (null, notes.Count > 0 ? string.Join(" ", notes) : null);
        }
        catch (Exception e) when (Told(e, folder) is { } told)
        {
            return (told, null);
        }
    }

    private static (string Message, string Fix)? Told(Exception e, string folder) => e switch
    {
        BadInputException bad => (bad.What, bad.Fix),
        IOException or UnauthorizedAccessException => DataPaths.Unreadable(e, folder),
        _ => null,
    };

    /// <summary>As the rank reckons it: of manifest.json where it is there; else of config.json followed by the list of tensors.</summary>
    private static string DigestOf(string folder)
    {
        string manifest = Path.Combine(folder, Manifest);
        return Convert.ToHexStringLower(SHA256.HashData(FileSeen.IsRegular(manifest) ? NamedFile.ReadAll(manifest, ManifestBytesMax)
            : [.. NamedFile.ReadAll(ConfigOf(folder), ConfigJson.BytesMax), .. WeightList.Identity(folder)]));
    }

    /// <summary>A mscale that is left out is 0, by which the attention's temperature stays as transformers has it.</summary>
    private static ModelShape ToShape(Recipes.Weights.ModelShape read) => new()
    {
        VocabSize = read.VocabSize, HiddenSize = read.HiddenSize, Layers = read.Layers, DenseLayers = read.DenseLayers,
        IntermediateSize = read.IntermediateSize, MoeIntermediateSize = read.MoeIntermediateSize, Heads = read.Heads,
        QLoraRank = read.QLoraRank, KvLoraRank = read.KvLoraRank, QkNopeHeadDim = read.QkNopeHeadDim, QkRopeHeadDim = read.QkRopeHeadDim,
        VHeadDim = read.VHeadDim, RoutedExperts = read.RoutedExperts, SharedExperts = read.SharedExperts,
        ActiveExperts = read.ActiveExperts,
        Groups = read.Groups, LimitedGroups = read.LimitedGroups,
        TopkMethod = read.Routing switch
        {
            RoutingMethod.SigmoidWithBias => TopkMethod.NoauxTc,
            RoutingMethod.SoftmaxGroups => TopkMethod.GroupLimitedGreedy,
            RoutingMethod.Softmax => TopkMethod.Greedy,
            _ => throw new UnreachableException($"routing {read.Routing}"),
        },
        NormTopkProb = read.NormTopkProb, RoutedScalingFactor = read.RoutedScalingFactor, MtpDepth = read.MtpDepth,
        RmsNormEps = read.RmsNormEps,
        InitStd = read.InitStd, MaxPositionEmbeddings = read.MaxPositionEmbeddings, RopeTheta = read.RopeTheta,
        RopeInterleave = read.RopeInterleave,
        AttentionBias = read.AttentionBias, TiedEmbeddings = read.TiedEmbeddings,
        Yarn = read.Yarn is not { } yarn ? null : new Yarn
        {
            Factor = yarn.Factor, OriginalLength = yarn.OriginalLength, BetaFast = yarn.BetaFast, BetaSlow = yarn.BetaSlow,
            Mscale = yarn.Mscale ?? 0, MscaleAllDim = yarn.MscaleAllDim ?? 0,
        },
    };
}

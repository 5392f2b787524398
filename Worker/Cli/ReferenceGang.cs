using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Learning;

namespace DeepSeekOps.Worker.Cli;

/// <summary>`model check FOLDER --parallel …`: the parts of a gang of rank processes, put together.</summary>
internal static class ReferenceGang
{
    /// <exception cref="CheckpointFormatException">The folder's numbers cannot be compared.</exception>
    /// <exception cref="InvalidDataException">The layout does not fit, or a rank failed; the message is its own.</exception>
    public static ReferenceDeviations Run(string folder, GangLayout layout, string device, TextWriter errors)
    {
        GangCheck.Require(folder, layout);
        var launch = new RankLaunch
        {
            Reference = new ReferenceWork
            {
                Folder = Path.GetFullPath(folder), WorldSize = layout.Ranks, Layout = layout.ToProto(), Device = device,
                Threads = Math.Max(1, Environment.ProcessorCount / layout.Ranks),
            },
        };
        var parts = LocalGang<ReferencePart>.Run("model check", layout.Ranks, launch, report => report.Reference, errors);
        return Deviations(parts, ReferenceNumbers.ReadExpected(folder), folder);
    }

    /// <summary>What all ranks' parts say together.</summary>
    internal static ReferenceDeviations Deviations(ReferencePart[] parts, ExpectedNumbers expected, string folder)
    {
        var squared = parts.SelectMany(p => p.SquaredGradients).GroupBy(g => g.Key).ToDictionary(g => g.Key, g => g.Sum(own => own.Value));
        return squared.Keys.Except(expected.GradNorms.Keys).FirstOrDefault() is { } odd
            ? throw new CheckpointFormatException($"{folder}: {odd} is only in one of config.json's model and "
                + "expected.json's grad_norms.")
            : new ReferenceDeviations(
                parts.Max(p => p.Logits), parts.Max(p => p.Loss),
                expected.GradNorms.Max(e => ReferenceCheck.RelativeError(Math.Sqrt(squared.GetValueOrDefault(e.Key)), e.Value)),
                parts.Max(p => p.AdamwLosses));
    }
}

using System.Text.Json;
using DeepSeekOps.Worker.Model;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>The measured load of every routed expert beside the weights, for `dsops plan --serving`.</summary>
public static class ExpertLoadsJson
{
    public const string FileName = "expert-loads.json";

    public static byte[] ToBytes(ModelShape shape, long step, IReadOnlyList<float[]> loads) => JsonSerializer.SerializeToUtf8Bytes(
        new { step, groups = shape.Groups, expertsPerToken = shape.ActiveExperts, loads });
}

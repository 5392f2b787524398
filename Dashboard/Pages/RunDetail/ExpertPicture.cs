using System.Buffers.Binary;
using System.Text.Json;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>Loads of experts as <c>ds-experts</c> takes them: one attribute for all cells, not a component for each.</summary>
public static class ExpertPicture
{
    /// <summary>Ratios in 256ths, two bytes each: finer than a colour, and as high as any layer of 256 experts can have.</summary>
    private const int PerUnit = 256;

    /// <summary>Base64 of little-endian uint16, row after row.</summary>
    public static string Cells(ExpertLoadReport report) => Encode(report.Layers.SelectMany(layer => layer.Ratios));

    /// <summary>The same of the busiest expert of each layer, step after step.</summary>
    public static string Busiest(ExpertLoad load) => Encode(Whole(load).SelectMany(point => point.Busiest));

    public static string Steps(ExpertLoad load) => JsonSerializer.Serialize(Whole(load).Select(point => point.Step));

    public static string Names(ExpertLoadReport report) => JsonSerializer.Serialize(report.Layers.Select(layer => layer.Name));

    public static string Called(LayerLoad layer) => char.IsAsciiDigit(layer.Name.FirstOrDefault()) ? $"layer {layer.Name}" : layer.Name;

    public static LayerLoad Worst(ExpertLoadReport report) => report.Layers.MaxBy(layer => layer.Busiest) ?? new LayerLoad();

    private static IEnumerable<ExpertLoadPoint> Whole(ExpertLoad load) =>
        load.Points.Where(point => point.Busiest.Count == load.Newest.Layers.Count);

    private static string Encode(IEnumerable<float> ratios)
    {
        float[] values = [.. ratios];
        byte[] bytes = new byte[2 * values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2 * i),
                (ushort)Math.Clamp(MathF.Round(values[i] * PerUnit), 0, ushort.MaxValue));
        }

        return Convert.ToBase64String(bytes);
    }
}

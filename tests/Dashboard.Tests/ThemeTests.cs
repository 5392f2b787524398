using DeepSeekOps.Dashboard.Theme;
using MudBlazor;
using MudBlazor.Utilities;

namespace DeepSeekOps.Dashboard.Tests;

/// <summary>Words on what is filled with a colour, by WCAG's formula: axe sees only those that stand on an opened page.</summary>
public sealed class ThemeTests
{
    public static TheoryData<string> Filled =>
        [nameof(Palette.Primary), nameof(Palette.Secondary), nameof(Palette.Info), nameof(Palette.Success), nameof(Palette.Warning),
            nameof(Palette.Error)];

    [Theory]
    [MemberData(nameof(Filled))]
    public void Words_on_a_filled_colour_can_be_read_light_and_dark(string colour)
    {
        foreach (Palette palette in new Palette[] { DashboardTheme.Value.PaletteLight, DashboardTheme.Value.PaletteDark })
        {
            double contrast = Contrast(Of(palette, colour), Of(palette, $"{colour}ContrastText"));
            Assert.True(contrast >= 4.5, $"{palette.GetType().Name}: {colour} and its words have {contrast:0.0} : 1");
        }
    }

    private static MudColor Of(Palette palette, string name) =>
        Assert.IsType<MudColor>(typeof(Palette).GetProperty(name)?.GetValue(palette));

    private static double Contrast(MudColor one, MudColor other)
    {
        var (a, b) = (Luminance(one), Luminance(other));
        return (Math.Max(a, b) + 0.05) / (Math.Min(a, b) + 0.05);
    }

    private static double Luminance(MudColor colour) =>
        (0.2126 * Linear(colour.R)) + (0.7152 * Linear(colour.G)) + (0.0722 * Linear(colour.B));

    private static double Linear(byte channel) =>
        channel / 255.0 is var c && c <= 0.04045 ? c / 12.92 : Math.Pow((c + 0.055) / 1.055, 2.4);
}

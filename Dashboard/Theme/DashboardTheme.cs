using MudBlazor;

namespace DeepSeekOps.Dashboard.Theme;

/// <summary>The one place, beside wwwroot/tokens.css, where colours have values. Status colours follow Okabe and Ito's set,
/// which stays apart under the common kinds of colour blindness; each is darkened or lightened to 4.5:1 on its surface.</summary>
public static class DashboardTheme
{
    private static readonly string[] Sans = ["Inter", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif"];

    public static readonly MudTheme Value = new()
    {
        PaletteLight = new PaletteLight
        {
            Primary = "#3a56d4",
            Secondary = "#5b6475",
            Info = "#0067a5",
            Success = "#00755a",
            Warning = "#8f5b00",
            Error = "#b43e00",
            Background = "#f5f6f9",
            Surface = "#ffffff",
            AppbarBackground = "#ffffff",
            AppbarText = "#171b26",
            TextPrimary = "#171b26",
            TextSecondary = "#545d6e",
            ActionDefault = "#545d6e",
            LinesDefault = "#dfe3ea",
            LinesInputs = "#b9c0cc",
            TableLines = "#e7eaf0",
            Divider = "#dfe3ea",
        },
        PaletteDark = new PaletteDark
        {
            Primary = "#8fa2ff",
            Secondary = "#9aa5b8",
            Info = "#62b5ee",
            Success = "#3fc59b",
            Warning = "#eaae3c",
            Error = "#ff8a57",
            Background = "#0d1017",
            Surface = "#151a23",
            AppbarBackground = "#11151d",
            AppbarText = "#e8ebf2",
            TextPrimary = "#e8ebf2",
            TextSecondary = "#9aa5b8",
            ActionDefault = "#9aa5b8",
            LinesDefault = "#272e3b",
            LinesInputs = "#414b5c",
            TableLines = "#222936",
            Divider = "#272e3b",
            // On buttons that are filled with these; white on them is too faint.
            PrimaryContrastText = "#0d1017",
            SecondaryContrastText = "#0d1017",
            InfoContrastText = "#0d1017",
            SuccessContrastText = "#0d1017",
            WarningContrastText = "#0d1017",
            ErrorContrastText = "#0d1017",
        },
        LayoutProperties = new LayoutProperties { DefaultBorderRadius = "8px", AppbarHeight = "52px" },
        Typography = new Typography
        {
            Default = new DefaultTypography { FontFamily = Sans, FontSize = "0.875rem", LineHeight = "1.45" },
            Button = new ButtonTypography { FontFamily = Sans, TextTransform = "none", FontWeight = "600" },
        },
    };
}

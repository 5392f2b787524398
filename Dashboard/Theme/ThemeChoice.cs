namespace DeepSeekOps.Dashboard.Theme;

/// <summary>What the person chose, and what it comes to on their screen. The browser keeps both in a cookie, so that the
/// first HTML already has the right colours.</summary>
public sealed record ThemeChoice(string Preference, bool Dark)
{
    public const string CookieName = "dsops-theme";

    public static readonly ThemeChoice System = new("system", false);

    /// <summary>The cookie reads "system.dark": preference, then what it resolved to.</summary>
    public static ThemeChoice FromCookie(string? value) => value?.Split('.') switch
    {
        [("light" or "dark" or "system") and var preference, var resolved] => new(preference, resolved == "dark"),
        _ => System,
    };

    public string Next => Preference switch { "system" => "light", "light" => "dark", _ => "system" };
}

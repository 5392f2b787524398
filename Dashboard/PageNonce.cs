using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;

namespace DeepSeekOps.Dashboard;

/// <summary>
/// A number used once: the one inline script of a page (its import map) carries it, and the page's Content-Security-Policy lets run what
/// does, and our own files. What somebody managed to write into a page does not.
/// </summary>
public static class PageNonce
{
    private const string Key = "DeepSeekOps.PageNonce";
    private const int Bytes = 16;

    /// <summary>The same for as long as one answer is made.</summary>
    public static string Of(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (context.Items[Key] is not string nonce)
        {
            context.Items[Key] = nonce = Convert.ToBase64String(RandomNumberGenerator.GetBytes(Bytes));
        }

        return nonce;
    }
}
